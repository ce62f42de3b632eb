"""What a worker asks its supervisor for; with a supervisor: tests/integration/test_reloads.py."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from loadonce.errors import ReloadFailedError
from loadonce.server.system.channel import Channel
from loadonce.server.workers.intents import Intents

pytestmark = pytest.mark.anyio


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    here, there = Channel.pair()
    yield here, there
    here.close()
    there.close()


async def test_each_is_answered_in_its_turn(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    intents = Intents(here)
    first = asyncio.create_task(intents.reload("a"))
    second = asyncio.create_task(intents.reload("b"))
    third = asyncio.create_task(intents.reload("c"))
    await asyncio.sleep(0)
    assert [there.receive() for _ in range(3)] == [({"what": "reload"}, [])] * 3
    second.cancel()
    await asyncio.sleep(0)
    for message in ({"what": "serves"}, {"what": "ended"}, {"what": "serves"}):
        intents.hear(message)
    intents.hear({"what": "failed", "reason": "too big"})
    intents.hear({"what": "serves"})  # nobody waits any more
    await first
    with pytest.raises(ReloadFailedError, match="model 'c': the server's reload failed") as raised:
        await third
    assert raised.value.found == "too big"


async def test_nobody_waits_for_what_could_not_be_asked(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    there.close()
    with pytest.raises(ReloadFailedError) as raised:
        await Intents(here).reload("a")
    assert raised.value.found == "the supervisor does not answer"
