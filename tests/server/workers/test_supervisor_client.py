"""What a worker asks its supervisor for; with a supervisor: tests/integration/test_reloads.py."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from loadonce.errors import ReloadFailedError
from loadonce.server.workers.supervisor_client import SupervisorClient
from loadonce.system.channel import Channel

pytestmark = pytest.mark.anyio


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    here, there = Channel.pair()
    yield here, there
    here.close()
    there.close()


async def test_each_is_answered_in_its_turn(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    supervisor = SupervisorClient(here)
    first = asyncio.create_task(supervisor.reload("a"))
    second = asyncio.create_task(supervisor.reload("b"))
    third = asyncio.create_task(supervisor.reload("c"))
    await asyncio.sleep(0)
    assert [there.receive() for _ in range(3)] == [({"what": "reload"}, [])] * 3
    second.cancel()
    await asyncio.sleep(0)
    for message in ({"what": "serves"}, {"what": "ended"}, {"what": "serves"}):
        supervisor.hear(message)
    supervisor.hear({"what": "failed", "reason": "too big"})
    supervisor.hear({"what": "serves"})  # nobody waits any more
    await first
    with pytest.raises(ReloadFailedError, match="model 'c': the server's reload failed") as raised:
        await third
    assert raised.value.found == "too big"


async def test_nobody_waits_for_what_could_not_be_asked(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    there.close()
    with pytest.raises(ReloadFailedError) as raised:
        await SupervisorClient(here).reload("a")
    assert raised.value.found == "the supervisor does not answer"
