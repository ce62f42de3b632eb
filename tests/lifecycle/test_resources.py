"""Resources: any context manager or generator, entered and left in one place, always left."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from loadonce import (
    DeadlineExceededError,
    FailedError,
    Model,
    Registry,
    StartupError,
    State,
    resource,
)

pytestmark = pytest.mark.anyio

log: list[object] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


def generator() -> Iterator[str]:
    log.append(threading.current_thread())
    yield "value"
    log.append(threading.current_thread())


async def async_generator() -> AsyncIterator[str]:
    log.append(asyncio.current_task())
    yield "value"
    log.append(asyncio.current_task())


async def coroutine() -> Any:
    return asynccontextmanager(async_generator)()


@pytest.mark.parametrize(
    "factory",
    [
        generator,
        contextmanager(generator),
        async_generator,
        asynccontextmanager(async_generator),
        coroutine,
    ],
)
async def test_every_kind_is_entered_and_left_in_the_same_task_or_thread(factory: Any) -> None:
    class One(Registry):
        thing: Model[str] = resource(factory)

    models = One()
    async with models.running(), models.thing.lease() as handle:
        assert handle.value == "value"
        assert handle.value is not log[0]
    assert len(log) == 2
    assert log[0] is log[1]
    assert log[0] not in (threading.current_thread(), asyncio.current_task())


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        (lambda: 1, "returned a int"),
        (lambda: iter([]), "returned a list_iterator"),
        (lambda: 1 / 0, "ZeroDivisionError"),
    ],
)
async def test_a_factory_that_gives_no_context_manager_stops_the_start(
    factory: Any, told: str
) -> None:
    class One(Registry):
        thing: Model[str] = resource(factory)

    with pytest.raises(StartupError) as caught:
        async with One().running():
            raise AssertionError("unreachable")
    assert told in str(caught.value)
    assert "model 'thing'" in str(caught.value)


async def test_a_context_manager_that_fails_to_enter_stops_the_start() -> None:
    @asynccontextmanager
    async def failing() -> AsyncIterator[str]:
        if not log:
            raise ConnectionError("refused")
        yield ""

    class One(Registry):
        thing: Model[str] = resource(failing)

    with pytest.raises(StartupError, match="ConnectionError: refused"):
        async with One().running():
            raise AssertionError("unreachable")


async def test_a_resource_that_fails_its_check_is_left_again() -> None:
    class One(Registry):
        thing: Model[int] = resource(generator)  # type: ignore[arg-type]

    with pytest.raises(StartupError, match="not of the declared type"):
        async with One().running():
            raise AssertionError("unreachable")
    assert len(log) == 2


@pytest.mark.parametrize("kind", ["thread", "loop"])
async def test_a_resource_that_is_too_slow_is_given_up_and_left(kind: str) -> None:
    @asynccontextmanager
    async def slow_async() -> AsyncIterator[str]:
        try:
            await asyncio.sleep(30)
            yield ""
        finally:
            log.append("left")

    @contextmanager
    def slow_sync() -> Iterator[str]:
        time.sleep(0.2)
        yield ""
        log.append("left")

    class One(Registry):
        thing: Model[str] = resource(
            slow_sync if kind == "thread" else slow_async, load_timeout=0.05
        )

    with pytest.raises(StartupError, match=r"not loaded within 0\.05 s"):
        async with One().running():
            raise AssertionError("unreachable")
    assert log == ["left"]


@pytest.mark.parametrize("is_told", [True, False])
async def test_coroutine_functions_run_on_the_loop_with_the_same_deadline(is_told: bool) -> None:
    class One(Registry):
        thing: Model[str] = resource(generator, timeout=0.05)
        patient: Model[str] = resource(generator, timeout=None)

    async def shout(value: str, mark: str) -> str:
        await asyncio.sleep(0)
        return value.upper() + mark

    async def sleep(value: str) -> None:
        await asyncio.sleep(30)

    async def own_timeout(value: str) -> None:
        raise TimeoutError("mine")

    def function(of: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        return of if is_told else lambda *args: of(*args)  # which does not look like one

    models = One()
    async with models.running(), models.thing.lease() as handle, models.patient.lease() as other:
        assert await handle.run(function(shout), "!") == "VALUE!"
        with pytest.raises(DeadlineExceededError):
            await handle.run(function(sleep))
        with pytest.raises(TimeoutError, match="mine"):
            await other.run(function(own_timeout))
        with pytest.raises(TimeoutError, match="mine"):
            await handle.run(function(own_timeout))
        assert models.thing.status().statistics.calls == 3
        assert models.thing.status().statistics.expired == int(is_told)


async def test_a_resource_that_ends_by_itself_serves_no_longer_and_is_opened_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses = [0.05, 60.0]
    monkeypatch.setattr("loadonce.lifecycle.manager.back_off", lambda failures: pauses[0])
    breaking = asyncio.Event()

    @asynccontextmanager
    async def fragile() -> AsyncIterator[str]:
        async with asyncio.TaskGroup() as group:  # cancels its own task when one of its tasks fails
            group.create_task(fail_when_told())
            log.append("opened")
            yield "value"

    async def fail_when_told() -> None:
        await breaking.wait()
        raise ConnectionError("lost")

    class One(Registry):
        thing: Model[str] = resource(fragile)

    models = One()
    async with models.running():
        assert models.readiness().is_ready
        breaking.set()
        async with asyncio.timeout(5):
            await reaches(models.thing, State.FAILED)
            assert "ended by itself" in models.thing.status().error
            assert not models.readiness().is_ready
            with pytest.raises(FailedError) as caught:
                models.thing.slot.acquire()
            assert caught.value.retry_after == 1
            breaking.clear()
            await reaches(models.thing, State.READY)
        assert log == ["opened", "opened"]
        del pauses[0]
        breaking.set()
        async with asyncio.timeout(5):
            await reaches(models.thing, State.FAILED)
        planned = models.thing.slot.retry_timer
        assert planned is not None
    assert planned.cancelled()
    assert models.thing.slot.retry_timer is None
    assert log == ["opened", "opened"]


async def test_a_resource_that_cancels_itself_while_it_leaves_harms_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @asynccontextmanager
    async def clumsy() -> AsyncIterator[str]:
        yield "value"
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    class Two(Registry):
        thing: Model[str] = resource(generator)
        other: Model[str] = resource(clumsy)

    async with Two().running():
        pass
    assert "closing raised" in caplog.text
    assert len(log) == 2


async def reaches(model: Model[str], state: State) -> None:
    while model.state is not state:  # noqa: ASYNC110  # states are no events
        await asyncio.sleep(0.005)
