"""What ends by itself, or is withdrawn, while something else closes: the rest is closed as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loadonce import Model, Registry, Source, State, artifact, resource
from loadonce.lifecycle.quarantine import quarantine
from loadonce.testing import FakeClock

pytestmark = pytest.mark.anyio

Locked = Callable[..., Path]
JUMPING = ("asyncio", {"loop_factory": FakeClock().new_event_loop})  # back-off takes no time

closed: list[str] = []
breaking: list[asyncio.Event] = []


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    closed.clear()
    breaking.clear()


@asynccontextmanager
async def fragile() -> AsyncIterator[str]:
    """Ends by itself once its event is set."""
    told = asyncio.Event()
    breaking.append(told)

    async def fail_when_told() -> None:
        await told.wait()
        raise ConnectionError("lost")

    async with asyncio.TaskGroup() as group:  # cancels its own task when one of its tasks fails
        failing = group.create_task(fail_when_told())
        yield f"pool {len(breaking)}"
        failing.cancel()


async def open_first() -> AsyncIterator[str]:
    yield "first"
    closed.append("first")


async def open_last() -> AsyncIterator[str]:
    yield "last"
    closed.append("last")


async def make(pool: str) -> AsyncIterator[str]:
    yield f"made from {pool}"
    closed.append(f"made from {pool}")


def text(source: Source) -> str:
    return bytes(source.data).decode()


class Three(Registry):
    first: Model[str] = resource(open_first)
    pool: Model[str] = resource(fragile)
    last: Model[str] = resource(open_last)


class Chain(Registry):
    pool: Model[str] = resource(fragile)
    made: Model[str] = resource(make, pool)


async def breaks(number: int, model: Model[str]) -> None:
    """The `number`th of the fragile ones ends by itself: `model`'s newest version."""
    version = model.slot.latest
    assert version is not None
    assert version.ended is not None
    breaking[number].set()
    await asyncio.wait([version.ended])
    await asyncio.sleep(0)  # whoever wants to know has been told


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # nothing announces what is waited for
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("is_lost", [True, False])
async def test_what_ends_by_itself_during_a_stop_does_not_stop_the_stop(is_lost: bool) -> None:
    models = Three()
    running = models.running()
    await running.__aenter__()
    async with models.last.lease():
        version = models.last.slot.current
        assert version is not None
        stopping = asyncio.create_task(running.__aexit__(None, None, None))
        await until(lambda: version.state is State.DRAINING)
        if is_lost:
            await breaks(0, models.pool)
        assert closed == []
    await stopping
    assert closed == ["last", "first"]
    assert models.pool.state is (State.FAILED if is_lost else State.UNLOADED)
    assert not models.is_running
    assert [model.slot.manager for model in models] == [None] * 3


async def test_a_quarantine_during_a_stop_does_not_stop_it_either(locked: Locked) -> None:
    async def last_of(_value: str) -> AsyncIterator[str]:
        yield "last"
        closed.append("last")

    class Models(Registry):
        first: Model[str] = resource(open_first)
        a: Model[str] = artifact("a.bin", loader=text, close=closed.append)
        last: Model[str] = resource(last_of, a)

    models = Models(locked(a="A"))
    running = models.running()
    await running.__aenter__()
    async with models.last.lease():
        version = models.last.slot.current
        assert version is not None
        stopping = asyncio.create_task(running.__aexit__(None, None, None))
        await until(lambda: version.state is State.DRAINING)
        quarantine([models], "a", models.a.status().sha256)
    await stopping
    assert sorted(closed) == ["first", "last"]  # closing `a` might be what crashes
    assert [model.slot.manager for model in models] == [None] * 3


async def test_a_stop_that_is_cancelled_leaves_no_model_running() -> None:
    models = Three()
    running = models.running()
    await running.__aenter__()
    async with models.last.lease():
        version = models.last.slot.current
        assert version is not None
        leaving = asyncio.create_task(running.__aexit__(None, None, None))
        await until(lambda: version.state is State.DRAINING)
        for task in asyncio.all_tasks() - {asyncio.current_task(), leaving}:
            if "Registry._stop" in repr(task):  # as the end of `asyncio.run` does
                task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
    assert [model.slot.manager for model in models] == [None] * 3
    assert not models.is_running


async def test_a_replaced_version_that_ends_by_itself_is_not_the_one_that_serves() -> None:
    models = Chain()
    async with models.running():
        replaced = models.pool.slot.current
        assert replaced is not None
        async with models.made.lease() as held:
            await models.pool.reload()
            assert held.value == "made from pool 1"
            breaking[0].set()
            assert replaced.ended is not None
            await asyncio.wait([replaced.ended])
            await asyncio.sleep(0)
            assert models.pool.state is State.READY
            assert not models.pool.slot.is_lost
            assert models.pool.slot.failures == 0
            assert models.pool.status().error == ""
        await until(lambda: replaced.state is State.FAILED)
        assert closed == ["made from pool 1"]
        assert models.readiness().is_ready
        assert not models.readiness().is_degraded
    assert closed == ["made from pool 1", "made from pool 2"]


@pytest.mark.parametrize("anyio_backend", [JUMPING])
async def test_what_was_made_from_a_lost_resource_is_made_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    models = Chain()
    told: list[str] = []
    models.events.subscribe(lambda event: told.append(f"{event.model} {event.what}"))
    async with models.running():
        told.clear()
        async with models.made.lease() as held:
            await breaks(0, models.pool)
            assert models.readiness().states == {"pool": "failed", "made": "failed"}
            assert "found: ConnectionError: lost" in models.pool.status().error
            assert "'pool', which it needs, has ended" in models.made.status().error
            assert not models.readiness().is_ready
            await until(lambda: models.readiness().is_ready)
            assert held.value == "made from pool 1"
            assert closed == []
        await until(lambda: "made unloaded" in told)
        assert closed == ["made from pool 1"]
        async with models.made.lease() as handle:
            assert handle.value == "made from pool 2"
        assert [model.status().error for model in models] == ["", ""]
    assert closed == ["made from pool 1", "made from pool 2"]
    causes = [record.exc_info for record in caplog.records if record.exc_info]
    assert [type(cause[1]) for cause in causes] == [ExceptionGroup]


@pytest.mark.parametrize("anyio_backend", [JUMPING])
@pytest.mark.parametrize("is_lost", [True, False])
async def test_what_is_lost_while_something_is_made_from_it_is_not_served(is_lost: bool) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def make_slowly(pool: str) -> AsyncIterator[str]:
        begun.set()
        await release.wait()
        yield f"made from {pool}"
        closed.append(f"made from {pool}")

    class Late(Registry):
        pool: Model[str] = resource(fragile)
        made: Model[str] = resource(make_slowly, pool, when="background")

    models = Late()
    async with models.running():
        await asyncio.wait_for(begun.wait(), 10)
        if is_lost:
            await breaks(0, models.pool)
        release.set()
        await until(lambda: models.readiness().is_ready)
        async with models.made.lease() as handle:
            assert handle.value == f"made from pool {2 if is_lost else 1}"
        assert closed == (["made from pool 1"] if is_lost else [])


async def test_a_resource_that_cancels_itself_tells_no_cause() -> None:
    cancel: list[Callable[[], object]] = []

    async def clumsy() -> AsyncIterator[str]:
        task = asyncio.current_task()
        assert task is not None
        cancel.append(task.cancel)
        yield "value"

    class One(Registry):
        thing: Model[str] = resource(clumsy)

    models = One()
    async with models.running():
        cancel[0]()
        await until(lambda: models.thing.state is State.FAILED)
        assert models.thing.status().error.splitlines() == [
            "model 'thing': the resource ended by itself while it was in use"
        ]
