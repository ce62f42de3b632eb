"""What a worker is told, without a fork; the rest is in tests/integration/test_workers.py."""

from __future__ import annotations

import pytest

from loadonce.server.channel import Channel
from loadonce.server.options import ServeOptions
from loadonce.server.process import AppProcess
from loadonce.server.worker import _obey

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("is_told", [True, False])
async def test_it_leaves_when_told_not_when_nobody_is_there_to_tell(is_told: bool) -> None:
    process = AppProcess(ServeOptions(target="main:app"), lambda _url: None)
    here, there = Channel.pair()
    if is_told:
        there.send({"what": "leave"})
    there.close()
    _obey(process, here)
    here.close()
    assert process.stopping.is_replaced is is_told
    assert process.stopping.requested.is_set() is is_told
