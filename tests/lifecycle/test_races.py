"""What happens at the same time: starts, stops and reloads that meet leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadonce import (
    Model,
    NotReadyError,
    NotRunningError,
    Registry,
    Source,
    StartupError,
    State,
    artifact,
    resource,
)
from loadonce.lifecycle import freezing as freezing_module

pytestmark = pytest.mark.anyio

Locked = Callable[..., Path]
log: list[str] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


def text(source: Source) -> str:
    return bytes(source.data).decode()


def closing(value: str) -> None:
    log.append(f"close {value}")


class Gated:
    """A loader that waits for its gate, once it is shut."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()

    def __call__(self, source: Source) -> str:
        value = text(source)
        self.begun.set()
        assert self.gate.wait(10)
        return value

    def shut(self) -> None:
        self.begun.clear()
        self.gate.clear()

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 10)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # nothing announces what is waited for
            await asyncio.sleep(0.01)


# -- the start ---------------------------------------------------------------------------------


async def test_a_start_cancelled_in_its_last_step_closes_what_it_opened(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, release = threading.Event(), threading.Event()

    def freeze() -> None:
        begun.set()
        release.wait(10)

    monkeypatch.setattr(freezing_module, "_settle", freeze)

    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=text, close=closing)

    models = One(root=locked(a="A"))
    running = models.running()
    starting = asyncio.create_task(running.__aenter__())
    assert await asyncio.to_thread(begun.wait, 10)
    assert models.cancel_start()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert log == ["close A"]
    assert models.a.slot.manager is None


async def test_a_start_that_is_given_up_as_it_succeeds_is_undone(locked: Locked) -> None:
    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=text, close=closing)

    models = One(root=locked(a="A"))
    running = models.running()
    entering = asyncio.create_task(running.__aenter__())
    async with asyncio.timeout(10):
        # Until the start is over, and its waiter has not been told yet.
        while not models.is_running:  # noqa: ASYNC110  # within one turn of the loop
            await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert log == ["close A"]
    assert not models.is_running


async def test_a_root_that_cannot_be_told_once_is_asked_again(locked: Locked) -> None:
    known: list[Path] = []

    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=text)

    models = One(root=lambda: known[0])
    with pytest.raises(IndexError):
        async with models.running():
            raise AssertionError("unreachable")
    known.append(locked(a="A"))
    async with models.running():
        assert models.a.state is State.READY


# -- a load that is given up ---------------------------------------------------------------------


async def test_what_fails_its_checks_is_closed_again(locked: Locked) -> None:
    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=text, close=closing, golden=lambda _value: False)

    with pytest.raises(StartupError):
        async with One(root=locked(a="A")).running():
            raise AssertionError("unreachable")
    assert log == ["close A"]


@pytest.mark.parametrize("kind", ["artifact", "resource"])
async def test_a_warm_up_that_hangs_is_given_up(locked: Locked, kind: str) -> None:
    release = threading.Event()

    def make_pool() -> Iterator[str]:
        yield "A"
        closing("A")

    def hang(_value: object) -> None:
        release.wait(10)

    class One(Registry):
        a: Model[str] = (
            artifact("a.bin", loader=text, close=closing, warmup=hang, load_timeout=0.2)
            if kind == "artifact"
            else resource(make_pool, warmup=hang, load_timeout=0.2)
        )

    try:
        with pytest.raises(StartupError, match=r"not loaded within 0\.2 s"):
            async with asyncio.timeout(5), One(root=locked(a="A")).running():
                raise AssertionError("unreachable")
    finally:
        release.set()
    assert log == ["close A"]


async def test_a_background_model_whose_root_cannot_be_told_says_so(locked: Locked) -> None:
    def root() -> str:
        raise ValueError("no such place")

    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=text, root=root, when="background")

    models = One(root=locked(a="A"))
    async with models.running():
        await _until(lambda: models.a.state is State.FAILED)
        assert "no such place" in models.a.status().error


async def test_a_close_that_raises_does_not_hide_why_an_object_was_rejected(
    locked: Locked, caplog: pytest.LogCaptureFixture
) -> None:
    class One(Registry):
        a: Model[str] = artifact(
            "a.bin", loader=text, close=lambda _value: 1 / 0, golden=lambda _value: False
        )

    with pytest.raises(StartupError, match="golden example"):
        async with One(root=locked(a="A")).running():
            raise AssertionError("unreachable")
    assert "closing raised" in caplog.text


# -- the stop ----------------------------------------------------------------------------------


async def test_a_stop_whose_caller_leaves_is_finished_all_the_same(locked: Locked) -> None:
    gate = asyncio.Event()

    async def make_pool() -> AsyncIterator[str]:
        yield "pool"
        await gate.wait()
        log.append("close pool")

    class One(Registry):
        pool: Model[str] = resource(make_pool)

    models = One(root=locked(a="A"))
    running = models.running()
    await running.__aenter__()
    leaving = asyncio.create_task(running.__aexit__(None, None, None))
    await asyncio.sleep(0.05)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    gate.set()
    async with models.running():  # waits for the end of the one before
        assert log == ["close pool"]
        assert models.pool.state is State.READY
        async with models.pool.lease() as handle:
            assert handle.value == "pool"
    with pytest.raises(NotRunningError):
        await models.pool.reload()


# -- the reload --------------------------------------------------------------------------------


async def test_a_load_that_ends_after_a_reload_gives_way_to_it(locked: Locked) -> None:
    old, new = Gated(), Gated()

    def load(source: Source) -> str:
        return (old if text(source) == "old" else new)(source)

    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=load, when="background", close=closing)

    old.shut()
    models = One(root=locked(a="old"))
    async with models.running():
        await old.has_begun()
        locked(a="new")
        await models.a.reload()
        old.gate.set()
        await _until(lambda: log == ["close old"])
        async with models.a.lease() as handle:
            assert handle.value == "new"
        assert models.a.state is State.READY
    assert log == ["close old", "close new"]


async def test_what_was_made_anew_before_a_cancelled_reload_is_closed(locked: Locked) -> None:
    hang = False

    async def make_pool(value: str) -> AsyncIterator[str]:
        if hang:
            log.append("hangs")
            await asyncio.sleep(10)
        yield value

    class Two(Registry):
        a: Model[str] = artifact("a.bin", loader=text, close=closing)
        pool: Model[str] = resource(make_pool, a)

    models = Two(root=locked(a="A"))
    async with models.running():
        hang = True
        locked(a="A2")
        reloading = asyncio.create_task(models.a.reload())
        await _until(lambda: log == ["hangs"])
    with pytest.raises(NotReadyError, match="shutting down"):
        await reloading
    assert log == ["hangs", "close A2", "close A"]


async def test_what_a_replaced_resource_was_made_from_outlives_it(locked: Locked) -> None:
    def make_pool(value: str) -> Iterator[str]:
        yield value
        log.append(f"close pool of {value}")

    class Two(Registry):
        a: Model[str] = artifact("a.bin", loader=text, close=closing)
        pool: Model[str] = resource(make_pool, a)

    models = Two(root=locked(a="A"))
    async with models.running():
        async with models.pool.lease() as held:
            locked(a="A2")
            await models.a.reload()
            await asyncio.sleep(0.1)
            assert held.value == "A"
            assert log == []  # the object is still in use through what was made from it
        await _until(lambda: len(log) == 2)
        assert log == ["close pool of A", "close A"]


async def test_stopping_lets_a_replaced_resource_close_in_peace(locked: Locked) -> None:
    async def make_pool() -> AsyncIterator[str]:
        yield "pool"
        log.append("closing")
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        log.append("closed")

    class One(Registry):
        pool: Model[str] = resource(make_pool)

    models = One(root=locked(a="A"))
    async with models.running():
        await models.pool.reload()
        await _until(lambda: log == ["closing"])
    assert log == ["closing", "closed", "closing", "closed"]


async def test_stopping_waits_for_leases_on_a_replaced_version(locked: Locked) -> None:
    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=text, close=closing)

    models = One(root=locked(a="A"))
    running = models.running()
    await running.__aenter__()
    async with models.a.lease() as held:
        locked(a="A2")
        await models.a.reload()
        stopping = asyncio.create_task(running.__aexit__(None, None, None))
        await asyncio.sleep(0.1)
        assert held.value == "A"
        assert "close A" not in log
    await stopping
    assert sorted(log) == ["close A", "close A2"]


async def test_no_patience_with_leases_is_no_impatience_with_closing(locked: Locked) -> None:
    async def make_pool() -> AsyncIterator[str]:
        yield "pool"
        await asyncio.sleep(0.05)
        log.append("closed")

    class One(Registry):
        pool: Model[str] = resource(make_pool, drain_timeout=0.0)

    async with One(root=locked(a="A")).running():
        pass
    assert log == ["closed"]


async def test_a_resource_whose_closing_hangs_is_cancelled(
    locked: Locked, caplog: pytest.LogCaptureFixture
) -> None:
    is_open = threading.Event()

    async def make_pool() -> AsyncIterator[str]:
        yield "pool"
        try:
            await asyncio.sleep(30)
        finally:
            log.append("cancelled")

    def load(source: Source) -> str:
        is_open.wait(10)
        return text(source)

    class Two(Registry):
        a: Model[str] = artifact("a.bin", loader=load, close=closing)
        pool: Model[str] = resource(make_pool, drain_timeout=0.05)

    models = Two(root=locked(a="A"))
    models.events.subscribe(lambda event: is_open.set() if event.what == "ready" else None)
    async with models.running():
        pass
    assert log == ["close A", "cancelled"]  # the pool was open first
    assert "closing raised" in caplog.text


async def test_a_reload_asked_for_while_another_reads_loads_again(locked: Locked) -> None:
    load = Gated()

    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=load)

    models = One(root=locked(a="A"))
    async with models.running():
        load.shut()
        locked(a="A2")
        first = asyncio.create_task(models.a.reload())
        await load.has_begun()
        locked(a="A3")
        later = [asyncio.create_task(models.a.reload()) for _ in range(3)]
        await asyncio.sleep(0)
        load.gate.set()
        await asyncio.gather(first, *later)
        async with models.a.lease() as handle:
            assert handle.value == "A3"
        current = models.a.slot.current
        assert current is not None
        assert current.number == 3


async def test_a_caller_that_leaves_a_reload_does_not_stop_it(locked: Locked) -> None:
    load = Gated()

    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=load)

    models = One(root=locked(a="A"))
    async with models.running():
        load.shut()
        locked(a="A2")
        reloading = asyncio.create_task(models.a.reload())
        await load.has_begun()
        reloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reloading
        load.gate.set()
        old = models.a.slot.current
        await _until(lambda: models.a.slot.current is not old)
        async with models.a.lease() as handle:
            assert handle.value == "A2"


# -- leases ------------------------------------------------------------------------------------


async def test_a_lease_ends_once(locked: Locked) -> None:
    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=text)

    models = One(root=locked(a="A"))
    async with models.running(), models.a.lease():
        async with models.a.lease() as second:
            second.release()
        assert models.a.status().leases == 1
        second.renew()
        assert models.a.status().leases == 2
        second.release()
        assert models.a.status().leases == 1


async def test_a_lease_that_cannot_be_renewed_is_kept(locked: Locked) -> None:
    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=text)

    models = One(root=locked(a="A"))
    async with models.running(), models.a.lease() as handle:
        version = models.a.slot.current
        assert version is not None
        models.a.slot.current = None
        with pytest.raises(NotReadyError):
            handle.renew()
        assert version.leases == 1
        models.a.slot.current = version
        handle.renew()
        assert version.leases == 1
    assert version.leases == 0


async def test_a_function_that_gives_an_awaitable_is_awaited(locked: Locked) -> None:
    async def twice(value: str) -> str:
        return value * 2

    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=text)

    models = One(root=locked(a="A"))
    async with models.running(), models.a.lease() as handle:
        assert await handle.run(lambda value: twice(value)) == "AA"


async def test_a_host_that_was_cancelled_from_inside_stops_no_other_close(locked: Locked) -> None:
    tasks: list[Any] = []

    async def make_pool() -> AsyncIterator[str]:
        tasks.append(asyncio.current_task())
        yield "pool"

    class Two(Registry):
        a: Model[str] = artifact("a.bin", loader=text, close=closing)
        pool: Model[str] = resource(make_pool)

    models = Two(root=locked(a="A"))
    async with models.running():
        tasks[0].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tasks[0]
    assert log == ["close A"]
    assert models.a.slot.manager is None
