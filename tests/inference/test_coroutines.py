"""Coroutine functions: run together on the event loop, and counted and limited as any call."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from loadonce.errors import DeadlineExceededError, NotReadyError, QueueFullError
from loadonce.inference import Engine
from loadonce.inference.marking import Mark
from loadonce.observe.statistics import CallStatistics
from loadonce.testing import FakeClock

pytestmark = pytest.mark.anyio


def make(**options: Any) -> Engine:
    return Engine("m", CallStatistics(), **options)


class Answers:
    """A coroutine function that waits until it is told to go on."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.go_on = asyncio.Event()

    async def __call__(self, value: int) -> int:
        self.begun += 1
        try:
            await self.go_on.wait()
        finally:
            self.ended += 1
        return value


def answers() -> Any:
    return Answers()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_coroutines_run_together_beside_what_has_the_thread() -> None:
    began, free, answer = [0, 0], threading.Event(), answers()
    engine = make(mark=Mark(1, [0], began))
    stuck = asyncio.create_task(engine.run(free.wait, 10))
    tasks = [asyncio.create_task(engine.run(answer, item)) for item in range(50)]
    await turns()
    assert (answer.begun, engine.statistics.in_flight, engine.statistics.calls) == (50, 51, 51)
    assert repr(engine) == "<Engine m: 0 waiting, 51 running>"
    free.set()
    assert await stuck
    assert began[1]  # coroutines run yet
    assert await engine.run(lambda: 1) == 1  # they have no place
    answer.go_on.set()
    assert await asyncio.gather(*tasks) == list(range(50))
    assert not began[1]
    assert engine.statistics.in_flight == 0
    assert engine.statistics.waiting == 0
    assert engine.placements()["Answers"] == {1: "async"}
    await engine.close()


async def test_too_many_coroutines_are_refused() -> None:
    engine, answer = make(max_queue=2), answers()
    tasks = [asyncio.create_task(engine.run(answer, item)) for item in range(2)]
    await turns()
    with pytest.raises(QueueFullError) as caught:
        await engine.run(answer, 3)
    assert caught.value.retry_after == 1.0
    assert engine.statistics.rejected == 1
    assert await engine.run(lambda: 1) == 1  # for this, nobody waits
    answer.go_on.set()
    assert await asyncio.gather(*tasks) == [0, 1]
    await engine.close()


def test_a_coroutine_that_runs_into_its_deadline_is_cancelled_and_counted() -> None:
    async def main() -> None:
        engine, answer = make(timeout=10.0), answers()
        with pytest.raises(DeadlineExceededError, match="running"):
            await engine.run(answer, 1)
        assert round(asyncio.get_running_loop().time()) == 10
        await turns()
        assert (answer.ended, engine.statistics.expired, engine.statistics.in_flight) == (1, 1, 0)
        await engine.close()

    FakeClock().run(main())


async def test_a_coroutine_ends_when_its_caller_leaves() -> None:
    engine, answer = make(), answers()
    task = asyncio.create_task(engine.run(answer, 1))
    await turns()
    task.cancel()
    await asyncio.wait([task])
    await turns()
    assert (answer.ended, engine.statistics.cancelled, engine.statistics.in_flight) == (1, 1, 0)
    await engine.close()


@pytest.mark.parametrize("grace", [0.0, 10.0])
async def test_closing_waits_for_coroutines_and_then_ends_them(grace: float) -> None:
    engine, answer = make(), answers()
    task = asyncio.create_task(engine.run(answer, 1))
    await turns()
    closing = asyncio.create_task(engine.close(grace))
    await turns()
    if grace:
        assert not closing.done()
        answer.go_on.set()
        assert await task == 1
    else:
        with pytest.raises(NotReadyError, match="unloaded meanwhile"):
            await task
    await closing
    with pytest.raises(NotReadyError):
        await engine.run(answer, 1)
    assert answer.begun == 1
