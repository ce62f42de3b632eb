"""What a call cost: its own waits are told from those for a processor."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from types import ModuleType

import pytest

from loadonce.inference.execution import count_waits, run_job
from loadonce.inference.jobs import Job
from loadonce.inference.placement import IDLE, Profile


def job(function: Callable[[], object]) -> Job:
    return Job(None, Profile("f", "auto", is_async=False), function, None)


def test_sleeping_counts_as_waiting_and_computing_does_not() -> None:
    def computes() -> None:
        until = time.thread_time() + 0.002
        while time.thread_time() < until:
            pass

    slept = run_job("m", job(lambda: time.sleep(0.01)), [None])
    assert slept.idle > 0.005 > slept.busy
    computed = [run_job("m", job(computes), [None]) for _ in range(20)]
    assert min(ran.busy for ran in computed) >= 0.002
    assert min(ran.idle for ran in computed) <= IDLE


@pytest.mark.parametrize("module", [None, ModuleType("resource")])
def test_where_waits_are_not_counted_each_call_may_have_waited(module: ModuleType | None) -> None:
    waits = count_waits(module)
    assert waits() != waits()


def test_where_they_are_counted_computing_adds_none() -> None:
    waits = count_waits(resource)
    before = waits()
    time.sleep(0.001)
    assert waits() > before
