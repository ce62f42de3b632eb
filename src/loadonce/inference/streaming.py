"""Results in parts: a generator function that runs where the model's calls run."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from time import perf_counter
from typing import Any, TypeVar

from loadonce.errors import DeadlineExceededError

from .engine import Engine

R = TypeVar("R")

logger = logging.getLogger("loadonce")

_END: Any = object()


async def stream(
    engine: Engine, function: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> AsyncGenerator[Any, None]:
    """The parts that `function(*args, **kwargs)` yields, each when it is there.

    A generator function has one of the model's threads until its end, and goes on when the next
    part is asked for; an asynchronous one runs on the event loop. The engine's timeout holds for
    the wait in the queue, and again for each part. Whoever leaves closes the generator.

    Raises:
        QueueFullError: too many calls are waiting.
        DeadlineExceededError: no next part within the timeout.
    """
    if inspect.isasyncgenfunction(function):
        parts = _parts_here(engine, function(*args, **kwargs))
    else:
        parts = _parts_in_thread(engine, function, lambda: iter(function(*args, **kwargs)))
    try:
        async for part in parts:
            yield part
    except asyncio.CancelledError:
        engine.statistics.cancelled += 1
        raise
    finally:
        await parts.aclose()


async def _parts_here(engine: Engine, made: AsyncGenerator[R, None]) -> AsyncGenerator[R, None]:
    statistics, started, errors = engine.statistics, perf_counter(), 0
    statistics.started(1, 0.0, is_batch=False)
    try:
        while (part := await _within(engine, anext(made, _END))) is not _END:
            yield part
    except Exception:
        errors = 1
        raise
    finally:
        statistics.finished(1, perf_counter() - started, errors=errors)
        await made.aclose()


async def _parts_in_thread(
    engine: Engine, function: Callable[..., object], make: Callable[[], Iterator[R]]
) -> AsyncGenerator[R, None]:
    thread = await engine.borrow(function)
    made: list[Iterator[R]] = []
    seconds, errors = 0.0, 0

    def step() -> R:
        nonlocal seconds
        started = perf_counter()
        try:
            if not made:
                made.append(make())
            return next(made[0], _END)
        finally:
            seconds += perf_counter() - started

    try:
        while (part := await _within(engine, thread.submit(step))) is not _END:
            yield part
    except Exception:
        errors = 1
        raise
    finally:
        closing = thread.submit(lambda: _close(engine.name, made))  # after a step that still runs
        closing.add_done_callback(lambda _closed: engine.give_back(thread, seconds, errors=errors))


def _close(model: str, made: list[Iterator[Any]]) -> None:
    while made:
        close = getattr(made.pop(), "close", None)
        if close is not None:
            try:
                close()
            except Exception:
                logger.exception("model '%s': closing a generator raised", model)


async def _within(engine: Engine, part: Awaitable[R]) -> R:
    timeout = asyncio.timeout(engine.timeout)
    try:
        async with timeout:
            return await part
    except TimeoutError:
        if engine.timeout is None or not timeout.expired():
            raise
        engine.statistics.expired += 1
        raise DeadlineExceededError(engine.name, engine.timeout, "running") from None
