"""What a worker is told, without a fork; the rest is in tests/integration/test_workers.py."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from loadonce import Model, Registry, artifact
from loadonce.server.app.process import AppProcess
from loadonce.server.options import ServeOptions
from loadonce.server.workers.supervisor_client import SupervisorClient
from loadonce.server.workers.worker import _obey, reseed
from loadonce.system.channel import Channel

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("is_told", [True, False])
async def test_it_leaves_when_told_not_when_nobody_is_there_to_tell(is_told: bool) -> None:
    process = AppProcess(ServeOptions(target="main:app"), lambda _url: None)
    here, there = Channel.pair()
    if is_told:
        there.send({"what": "leave"})
    there.close()
    _obey(process, here, SupervisorClient(here))
    here.close()
    assert process.stopping.is_replaced is is_told
    assert process.stopping.requested.is_set() is is_told


class Models(Registry):
    told_of: Model[object] = artifact("a.json")


async def test_it_is_told_of_versions_that_must_not_serve() -> None:
    models = Models()
    process = AppProcess(ServeOptions(target="main:app"), lambda _url: None)
    here, there = Channel.pair()
    known = [{"model": name, "version": "1", "sha256": "abc"} for name in ("told_of", "unknown")]
    there.send({"what": "quarantine", "models": known})
    _obey(process, here, SupervisorClient(here))
    assert models.told_of.slot.quarantined == {"abc"}
    assert not process.stopping.is_replaced
    here.close()
    there.close()


def drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(1))  # the global one


def test_it_draws_other_random_numbers_than_the_process_it_was_forked_from() -> None:
    def seed() -> None:  # as each copy of a process begins
        random.seed(1)
        np.random.seed(1)  # the global one
        torch.manual_seed(1)

    seed()
    first = drawn()
    seed()
    assert drawn() == first  # the control
    seed()
    reseed()
    assert not set(drawn()) & set(first)
