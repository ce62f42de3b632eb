"""Results in parts, from a thread of the model or from the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from loadonce.errors import DeadlineExceededError, NotReadyError, QueueFullError
from loadonce.inference import Engine
from loadonce.inference.streaming import stream
from loadonce.observe.statistics import CallStatistics
from loadonce.testing import FakeClock

pytestmark = pytest.mark.anyio

log: list[str] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


def make(**options: Any) -> Engine:
    return Engine("m", CallStatistics(), **options)


def words(count: int) -> Iterator[str]:
    try:
        for number in range(count):
            log.append(threading.current_thread().name)
            yield f"word {number}"
    finally:
        log.append("closed")


async def async_words(count: int) -> AsyncGenerator[str, None]:
    try:
        for number in range(count):
            log.append(threading.current_thread().name)
            await asyncio.sleep(0)
            yield f"word {number}"
    finally:
        log.append("closed")


async def in_peace(engine: Engine) -> None:
    """Until the engine has its thread back."""
    await engine.close(5)
    assert repr(engine) == "<Engine m: 0 waiting, 0 running>"
    assert engine.statistics.in_flight == 0


@pytest.mark.parametrize(("function", "place"), [(words, "m-0"), (async_words, "MainThread")])
async def test_parts_come_in_order_from_where_calls_run(function: Any, place: str) -> None:
    engine = make()
    found = [part async for part in stream(engine, function, 3)]
    assert found == ["word 0", "word 1", "word 2"]
    assert log == [place] * 3 + ["closed"]
    await in_peace(engine)
    assert (engine.statistics.calls, engine.statistics.errors) == (1, 0)
    assert engine.statistics.compute_seconds > 0


@pytest.mark.parametrize("function", [words, async_words])
async def test_a_part_is_made_when_it_is_asked_for(function: Any) -> None:
    engine = make()
    parts = stream(engine, function, 1000)
    assert await anext(parts) == "word 0"
    assert len(log) == 1
    await parts.aclose()  # the caller leaves
    await in_peace(engine)
    assert log[1:] == ["closed"]
    assert engine.statistics.cancelled == 0


async def test_a_stream_has_its_thread_to_itself_until_its_end() -> None:
    engine = make()
    parts = stream(engine, words, 2)
    await anext(parts)
    other = asyncio.create_task(engine.run(lambda: "other"))
    await asyncio.sleep(0)
    assert repr(engine) == "<Engine m: 1 waiting, 1 running>"
    assert [part async for part in parts] == ["word 1"]
    assert await other == "other"
    await in_peace(engine)


def fails(after: int) -> Iterator[int]:
    yield from range(after)
    raise ValueError("no more")


async def fails_here(after: int) -> AsyncGenerator[int, None]:
    for number in range(after):
        yield number
    raise ValueError("no more")


@pytest.mark.parametrize("function", [fails, fails_here])
async def test_an_error_comes_after_the_parts_before_it(function: Any) -> None:
    engine = make()
    parts = stream(engine, function, 2)
    assert [await anext(parts), await anext(parts)] == [0, 1]
    with pytest.raises(ValueError, match="no more"):
        await anext(parts)
    await in_peace(engine)
    assert engine.statistics.errors == 1


async def test_what_is_no_generator_is_iterated_and_what_cannot_be_is_an_error() -> None:
    engine = make()
    assert [part async for part in stream(engine, lambda: [1, 2])] == [1, 2]
    with pytest.raises(TypeError, match="not iterable"):
        await anext(stream(engine, lambda: 1))
    await in_peace(engine)


@pytest.mark.parametrize("stage", ["queue", "part"])
async def test_a_caller_that_is_cancelled_leaves_nothing_behind(stage: str) -> None:
    engine, begun, release = make(), threading.Event(), threading.Event()

    def slow() -> Iterator[int]:
        try:
            begun.set()
            assert release.wait(10)
            yield 1
        finally:
            log.append("closed")

    first = stream(engine, words, 2)
    if stage == "queue":
        await anext(first)
    parts = stream(engine, slow)
    task = asyncio.ensure_future(anext(parts))
    if stage == "part":
        assert await asyncio.to_thread(begun.wait, 10)
    else:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    release.set()
    await first.aclose()
    await in_peace(engine)
    assert begun.is_set() == (stage == "part")
    assert log.count("closed") == 1
    assert engine.statistics.cancelled >= 1


async def test_a_thread_lent_at_the_very_moment_of_leaving_comes_back() -> None:
    engine = make()
    task = asyncio.create_task(engine.borrow(words))
    await asyncio.sleep(0)  # waits; the queue is looked at after this turn
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await engine.run(lambda: 1) == 1
    await in_peace(engine)


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_the_deadline_holds_for_each_part(kind: str) -> None:
    release = threading.Event()

    def stuck() -> Iterator[int]:
        yield 1
        assert release.wait(10)

    async def stuck_here() -> AsyncGenerator[int, None]:
        yield 1
        await asyncio.Event().wait()

    async def main() -> None:
        engine, loop = make(timeout=5.0), asyncio.get_running_loop()
        parts = stream(engine, stuck if kind == "thread" else stuck_here)
        await anext(parts)
        await asyncio.sleep(100)  # the caller may take its time
        asked = loop.time()
        with pytest.raises(DeadlineExceededError, match="running"):
            await anext(parts)
        assert round(loop.time() - asked) == 5
        release.set()
        await in_peace(engine)
        assert (engine.statistics.expired, engine.statistics.errors) == (1, 1)

    FakeClock().run(main())


async def test_a_timeout_of_the_function_s_own_is_its_error() -> None:
    def gives_up() -> Iterator[int]:
        yield 1
        raise TimeoutError("the function's")

    for timeout in (None, 5.0):
        engine = make(timeout=timeout)
        parts = stream(engine, gives_up)
        await anext(parts)
        with pytest.raises(TimeoutError, match="the function's"):
            await anext(parts)
        assert engine.statistics.expired == 0
        await in_peace(engine)


async def test_limits_hold_for_streams() -> None:
    engine = make(max_queue=1)
    parts = stream(engine, words, 2)
    await anext(parts)
    waiting = asyncio.ensure_future(anext(stream(engine, words, 1)))
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError):
        await anext(stream(engine, words, 1))
    await engine.close()
    with pytest.raises(NotReadyError):
        await waiting
    with pytest.raises(NotReadyError):
        await anext(stream(engine, words, 1))
    assert [part async for part in parts] == ["word 1"]  # what runs goes on


async def test_a_generator_that_will_not_close_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stubborn() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise ValueError("not now")

    engine = make()
    parts = stream(engine, stubborn)
    await anext(parts)
    with caplog.at_level(logging.ERROR, "loadonce"):
        await parts.aclose()
        await in_peace(engine)
    assert "model 'm': closing a generator raised" in caplog.text


async def test_a_generator_may_name_its_arguments_as_it_likes() -> None:
    def named(engine: int, function: int) -> Iterator[int]:
        yield engine
        yield function

    engine = make()
    assert [part async for part in stream(engine, named, engine=1, function=2)] == [1, 2]
    await in_peace(engine)
