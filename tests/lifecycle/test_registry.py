"""A registry: declared without I/O, started as a whole or not at all, closed in reverse order."""

from __future__ import annotations

import asyncio
import copy
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from loadonce import (
    ConfigurationError,
    Golden,
    Handle,
    LoadOnceError,
    Model,
    NotReadyError,
    NotRunningError,
    Registry,
    Source,
    StartupError,
    State,
    artifact,
    lock_directory,
    registries,
    resource,
)
from loadonce.lifecycle.declaration import When
from loadonce.observe.memory import resident_bytes
from loadonce.testing import FakeClock

pytestmark = pytest.mark.anyio

Locked = Callable[..., Path]
log: list[str] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


def text(source: Source) -> str:
    log.append(f"load {source.name}")
    return bytes(source.data).decode()


def fail(source: Source) -> str:
    raise ValueError(f"cannot read {source.size} bytes")


def pool() -> Iterator[str]:
    log.append("open pool")
    yield "pool"
    log.append("close pool")


@asynccontextmanager
async def _joined(a: str, b: str) -> AsyncIterator[str]:
    log.append("open joined")
    yield a + b
    log.append("close joined")


class Two(Registry):
    a: Model[str] = artifact("a.bin", loader=text)
    b: Model[str] = artifact("b.bin", loader=text, close=lambda value: log.append(f"close {value}"))
    joined: Model[str] = resource(_joined, a, b)


async def test_declaring_does_no_io() -> None:
    models = Two(root="/nowhere")
    assert models.a.state is State.PENDING
    assert repr(models) == "<Two: a PENDING, b PENDING, joined PENDING>"
    assert repr(models.a) == "<Model a PENDING>"
    assert repr(models.a.raw) == "<Raw <Model a PENDING>>"
    assert len(models) == 3
    assert repr(models.a.slot) == "<Slot Two.a PENDING>"
    assert [status.name for status in models.status()] == ["a", "b", "joined"]
    models.start_draining()
    assert not models.readiness().is_ready
    assert models["a"] is models.a
    assert models in registries()
    with pytest.raises(NotRunningError, match="Two is not running"):
        models.a.slot.acquire()
    with pytest.raises(NotRunningError):
        await models.a.reload()
    with pytest.raises(NotRunningError):
        models.a.run(len)


async def test_loads_all_serves_and_closes_in_reverse_order(locked: Locked) -> None:
    models = Two(root=locked(a="A", b="B"))
    async with models.running():
        assert [model.state for model in models] == [State.READY] * 3
        async with models.joined.lease() as handle:
            assert handle.value == "AB"
            assert (handle.name, handle.version, handle.sha256) == ("joined", "", "")
        async with models.a.lease() as other:
            assert other.version == other.sha256[:12]
            assert await other.run(len) == 1
            assert "1 lease" in repr(other)
        status = models.a.status()
        assert (status.bytes_on_disk, status.error, status.path) == (1, "", "a.bin")
        assert models.readiness().is_ready
        log.append("--")
    assert log[-3:] == ["--", "close joined", "close B"]
    assert not models.readiness().is_started
    assert models.a.slot.engine is None


async def test_an_instance_runs_again_after_it_ended(locked: Locked) -> None:
    models = Two(root=lambda: locked(a="A", b="B"))
    for _ in range(2):
        async with models.running():
            assert models.joined.state is State.READY
    assert log.count("load a.bin") == 2


async def test_two_instances_of_one_class_share_nothing(tmp_path: Path, locked: Locked) -> None:
    root = locked(a="A", b="B")
    one, two = Two(root=root), Two(root=root)
    async with one.running():
        assert two.a.state is State.PENDING
        async with two.running(), one.a.lease() as first, two.a.lease() as second:
            assert first is not second
        assert one.a.state is State.READY


async def test_entered_twice_on_one_loop_it_is_shared(locked: Locked) -> None:
    models = Two(root=locked(a="A", b="B"))
    async with models.running():
        async with models.running():
            pass
        assert models.a.state is State.READY
    assert log.count("load a.bin") == 1


async def test_whoever_joins_a_start_may_leave_without_stopping_it(locked: Locked) -> None:
    models = Two(root=locked(a="A", b="B"))
    ready = asyncio.Event()

    async def run() -> None:
        async with models.running():
            await ready.wait()

    first, second = asyncio.create_task(run()), asyncio.create_task(run())
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await _until(lambda: models.readiness().is_ready)
    ready.set()
    await first


async def test_on_another_loop_it_is_refused(locked: Locked) -> None:
    models = Two(root=locked(a="A", b="B"))
    async with models.running():

        def elsewhere() -> None:
            with models.loaded():
                raise AssertionError("unreachable")

        with pytest.raises(ConfigurationError, match="another event loop"):
            await asyncio.to_thread(elsewhere)


def test_outside_fastapi_a_plain_with_will_do(locked: Locked) -> None:
    models = Two(root=locked(a="A", b="B"))
    with models.loaded() as running:
        assert running is models
        assert running.joined.run(len) == 2
        assert running.a.run(str.replace, "A", "x") == "x"
        seen: list[str] = []
        threading.Thread(target=lambda: seen.append(running.a.run(str.lower))).run()
        assert seen == ["a"]
    assert log[-1] == "close B"


async def test_and_an_async_one(locked: Locked) -> None:
    models = Two(root=locked(a="A", b="B"))
    async with models.loaded() as running, running.a.lease() as handle:
        with pytest.raises(ConfigurationError, match="event loop"):
            running.a.run(len)
        with pytest.raises(ConfigurationError, match="event loop"):
            handle.run_sync(len)
        assert await asyncio.to_thread(handle.run_sync, len) == 1


# -- failing fast ------------------------------------------------------------------------------


async def test_failed_artifacts_are_reported_together_before_anything_is_loaded(
    locked: Locked,
) -> None:
    class Bad(Two):
        c: Model[str] = artifact("c.bin", loader=text)

    root = locked(a="A", b="B", c="C")
    (root / "a.bin").write_bytes(b"x")
    (root / "c.bin").unlink()
    models = Bad(root=root)
    with pytest.raises(StartupError) as caught:
        async with models.running():
            raise AssertionError("unreachable")
    assert [failure.model for failure in caught.value.failures] == ["a", "c"]  # type: ignore[attr-defined]
    assert "2 models failed" in str(caught.value)
    assert log == []
    assert models.a.state is State.FAILED
    with pytest.raises(NotRunningError):
        models.a.slot.acquire()


async def test_one_reason_for_several_models_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(StartupError) as caught:
        async with Two(root=tmp_path).running():
            raise AssertionError("unreachable")
    assert str(caught.value).count("models.lock)") == 1
    assert "models 'a', 'b' (models.lock): " in str(caught.value)


async def test_what_could_never_fit_is_not_even_read(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADONCE_MEMORY_LIMIT", str(resident_bytes() + 2**20))
    root = locked(a="A" * 2**23, b="B")
    heard: list[str] = []
    models = Two(root=root)
    models.events.subscribe(lambda event: heard.append(f"{event.model} {event.what}"))
    with pytest.raises(StartupError, match=r"8\.0 MiB needed"):
        async with models.running():
            raise AssertionError("unreachable")
    assert "a verifying" not in heard
    monkeypatch.setenv("LOADONCE_MEMORY_LIMIT", "8GiB")
    async with models.running():
        monkeypatch.setenv("LOADONCE_MEMORY_LIMIT", "1KiB")
    assert "a verifying" in heard


async def test_a_failure_while_loading_closes_what_was_opened(locked: Locked) -> None:
    class Bad(Registry):
        pool: Model[str] = resource(pool)
        a: Model[str] = artifact("a.bin", loader=text)
        bad: Model[str] = artifact("b.bin", loader=fail)

    models = Bad(root=locked(a="A", b="B"))
    with pytest.raises(StartupError, match="ValueError: cannot read 1 bytes") as caught:
        async with models.running():
            raise AssertionError("unreachable")
    assert len(caught.value.failures) == 1
    assert set(caught.value.known_good) == {"pool", "a"}
    assert log[-1] == "close pool"
    assert repr(models.bad).startswith("<Model bad <Version bad@1 FAILED: model 'bad' (b.bin)")


async def test_a_failure_does_not_wait_for_a_loader_that_sleeps(locked: Locked) -> None:
    release = threading.Event()

    class Bad(Registry):
        slow: Model[str] = artifact("a.bin", loader=lambda _source: str(release.wait(30)))
        bad: Model[str] = artifact("b.bin", loader=fail)

    started = time.monotonic()
    with pytest.raises(StartupError):
        async with Bad(root=locked(a="A", b="B")).running():
            raise AssertionError("unreachable")
    assert time.monotonic() - started < 5
    release.set()


async def test_an_optional_model_may_be_missing(locked: Locked) -> None:
    class Optional(Registry):
        a: Model[str] = artifact("a.bin", loader=text)
        gone: Model[str] = artifact("gone.bin", loader=text, required=False)
        made: Model[str] = resource(lambda gone: pool(), gone, required=False)

    models = Optional(root=locked(a="A"))
    async with models.running():
        found = models.readiness()
        assert (found.is_ready, found.is_degraded) == (True, True)
        with pytest.raises(LoadOnceError, match="failed to load") as caught:
            models.gone.slot.acquire()
        assert caught.value.retry_after is None  # type: ignore[attr-defined]
        assert "needs model 'gone'" in models.made.status().error


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"loader": lambda source: 1}, "expected: str"),
        ({"loader": text, "warmup": lambda value: 1 / 0}, "warm-up call raised ZeroDivisionError"),
        ({"loader": text, "golden": lambda value: value == "B"}, "golden example"),
        ({"loader": text, "golden": Golden("upper", None, "B")}, "TypeError"),
        ({"loader": lambda source: time.sleep(30), "load_timeout": 0.05}, "within 0.05 s"),
        ({"loader": fail}, "ValueError"),
        ({"loader": None}, "no loader"),
    ],
)
async def test_each_step_of_a_load_can_stop_the_start(
    locked: Locked, options: dict[str, Any], told: str
) -> None:
    class One(Registry):
        a: Model[str] = artifact("a.bin", **options)

    with pytest.raises(StartupError) as caught:
        async with One(root=locked(a="A")).running():
            raise AssertionError("unreachable")
    assert told in str(caught.value)
    assert "model 'a' (a.bin)" in str(caught.value)


async def test_async_loaders_warmups_and_checks_work_too(locked: Locked) -> None:
    async def load(source: Source) -> str:
        await asyncio.sleep(0)
        return bytes(source.data).decode()

    async def check(value: str) -> bool:
        await asyncio.sleep(0)
        return value == "A"

    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=load, warmup=check, golden=check)  # type: ignore[arg-type]

    async with One(root=locked(a="A")).running():
        pass


async def test_a_root_that_cannot_be_told_is_the_user_s_own_error(locked: Locked) -> None:
    def where() -> str:
        raise KeyError("MODELS_DIR")

    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=text, root=where)

    with pytest.raises(KeyError, match="MODELS_DIR"):
        async with One(root=locked(a="A")).running():
            raise AssertionError("unreachable")
    with pytest.raises(KeyError, match="MODELS_DIR"):
        async with Two(root=where).running():
            raise AssertionError("unreachable")


async def test_a_timeout_of_the_loader_s_own_is_its_own_failure(locked: Locked) -> None:
    def refuse(source: Source) -> str:
        raise TimeoutError("upstream")

    class One(Registry):
        a: Model[str] = artifact("a.bin", loader=refuse)

    with pytest.raises(StartupError, match="TimeoutError: upstream"):
        async with One(root=locked(a="A")).running():
            raise AssertionError("unreachable")


async def test_what_cannot_fit_the_memory_is_refused_before_it_is_loaded(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADONCE_MEMORY_LIMIT", str(resident_bytes() + 1024))
    root = locked(a="A" * 2**20, b="B" * 2**20)
    with pytest.raises(StartupError, match=r"2\.0 MiB needed .*available") as caught:
        async with Two(root=root).running():
            raise AssertionError("unreachable")
    assert len(caught.value.failures) == 2
    assert log == []


async def test_what_grows_beyond_the_memory_is_refused_although_its_bytes_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class One(Registry):
        big: Model[list[int]] = artifact("big.json")

    (tmp_path / "big.json").write_text("[" + "1," * 2**22 + "1]")
    lock_directory(tmp_path)
    monkeypatch.setenv("LOADONCE_MEMORY_LIMIT", str(resident_bytes() + 12 * 2**20))
    models = One(root=tmp_path)
    heard: list[str] = []
    models.events.subscribe(lambda event: heard.append(event.what))
    with pytest.raises(StartupError, match="would not fit the memory"):
        async with models.running():
            raise AssertionError("unreachable")
    assert "verifying" in heard
    assert "loading" not in heard


@pytest.mark.parametrize("when", ["startup", "background"])
async def test_and_so_is_an_optional_or_later_load(
    locked: Locked, monkeypatch: pytest.MonkeyPatch, when: When
) -> None:
    class One(Registry):
        big: Model[str] = artifact("big.bin", loader=text, required=False, when=when)

    monkeypatch.setenv("LOADONCE_MEMORY_LIMIT", "1KiB")
    models = One(root=locked(big="B" * 2**20))
    async with models.running():
        await _until(lambda: models.big.state is State.FAILED)
        assert "1.0 MiB needed (big 1.0 MiB), 0 B available" in models.big.status().error
    assert log == []


async def test_cancelling_the_start_closes_what_was_opened(locked: Locked) -> None:
    begun, release = threading.Event(), threading.Event()

    def sleep(source: Source) -> str:
        begun.set()
        release.wait(30)
        return ""

    class Slow(Registry):
        pool: Model[str] = resource(pool)
        slow: Model[str] = artifact("a.bin", loader=sleep)

    models = Slow(root=locked(a="A"))
    assert not models.cancel_start()

    async def run() -> None:
        async with models.running():
            raise AssertionError("unreachable")

    for cancel in ("start", "task"):
        log.clear()
        begun.clear()
        task = asyncio.create_task(run())
        assert await asyncio.to_thread(begun.wait, 5)
        assert models.readiness().is_started is False
        if cancel == "start":
            assert models.cancel_start()
        else:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["open pool", "close pool"], cancel
        release.set()
        release.clear()


# -- loading later -----------------------------------------------------------------------------


async def test_a_background_model_does_not_hold_up_the_start(locked: Locked) -> None:
    release = threading.Event()

    def slow(source: Source) -> str:
        release.wait(10)
        return "late"

    class Late(Registry):
        a: Model[str] = artifact("a.bin", loader=text)
        late: Model[str] = artifact("b.bin", loader=slow, when="background")

    models = Late(root=locked(a="A", b="B"))
    async with models.running():
        assert models.a.state is State.READY
        assert not models.readiness().is_ready
        with pytest.raises(NotReadyError) as caught:
            async with models.late.lease():
                raise AssertionError("unreachable")
        assert caught.value.retry_after == 1
        release.set()
        await _until(lambda: models.late.state is State.READY)
        assert models.readiness().is_ready


async def test_a_stop_gives_up_a_load_in_the_background_for_good(locked: Locked) -> None:
    begun, release = threading.Event(), threading.Event()

    def slow(source: Source) -> str:
        begun.set()
        release.wait(30)
        return "late"

    class Late(Registry):
        late: Model[str] = artifact("a.bin", loader=slow, when="background")

    models = Late(root=locked(a="A"))
    async with models.running():
        assert await asyncio.to_thread(begun.wait, 5)
    release.set()
    assert models.late.slot.retry_timer is None
    assert models.late.state is State.FAILED
    with pytest.raises(NotRunningError):
        models.late.slot.acquire()


def test_a_background_model_that_failed_is_tried_again(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    def flaky(source: Source) -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError("not yet")
        return "at last"

    monkeypatch.setattr("loadonce.lifecycle.manager.back_off", lambda failures: 0.1 * failures)

    class Late(Registry):
        late: Model[str] = artifact("a.bin", loader=flaky, when="background")

    async def main() -> None:
        models = Late(root=locked(a="A"))
        async with models.running():
            await _until(lambda: models.late.state is State.FAILED)
            with pytest.raises(LoadOnceError) as caught:
                models.late.slot.acquire()
            assert caught.value.retry_after == 1  # type: ignore[attr-defined]
            await _until(lambda: models.late.state is State.READY)
        assert len(attempts) == 3

    FakeClock().run(main())  # however slow the machine: between two looks 0.01 s pass


async def test_first_use_loads_once_however_many_ask_together(locked: Locked) -> None:
    def slow(source: Source) -> str:
        time.sleep(0.05)
        return text(source)

    class Lazy(Registry):
        lazy: Model[str] = artifact("a.bin", loader=slow, when="first_use")

    models = Lazy(root=locked(a="A"))
    async with models.running():
        assert models.readiness().is_ready
        assert log == []

        async def use() -> str:
            async with models.lazy.lease() as handle:
                return handle.value

        assert await asyncio.gather(*(use() for _ in range(20))) == ["A"] * 20
        assert log == ["load a.bin"]


async def test_first_use_that_failed_waits_before_it_tries_again(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lazy(Registry):
        lazy: Model[str] = artifact("gone.bin", loader=text, when="first_use")

    models = Lazy(root=locked(a="A"))
    async with models.running():
        for _ in range(2):
            with pytest.raises(LoadOnceError, match="failed to load"):
                async with models.lazy.lease():
                    raise AssertionError("unreachable")
        assert models.lazy.slot.failures == 1
        assert not models.readiness().is_ready
        models.lazy.slot.retry_at = 0.0
        with pytest.raises(LoadOnceError, match="failed to load"):
            async with models.lazy.lease():
                raise AssertionError("unreachable")
        assert models.lazy.slot.failures == 2


async def test_a_resource_brings_up_what_it_needs(locked: Locked) -> None:
    class Lazy(Registry):
        lazy: Model[str] = artifact("a.bin", loader=text, when="first_use")
        made: Model[str] = resource(_shouted, lazy)

    models = Lazy(root=locked(a="a"))
    async with models.running():
        assert models.made.status().state is State.READY
        assert models.lazy.state is State.READY


def _shouted(value: str) -> Iterator[str]:
    yield value.upper()


# -- reload ------------------------------------------------------------------------------------


async def test_reload_serves_new_requests_the_new_version_and_lets_old_ones_finish(
    locked: Locked,
) -> None:
    models = Two(root=locked(a="A", b="B"))
    async with models.running():
        async with models.b.lease() as old, models.joined.lease() as joined:
            locked(a="A", b="B2")
            await models.b.reload()
            assert old.value == "B"
            assert joined.value == "AB"
            async with models.b.lease() as new, models.joined.lease() as rejoined:
                assert new.value == "B2"
                assert rejoined.value == "AB2"
                assert new.version != old.version
            assert "close B" not in log
            old.renew()
            assert old.value == "B2"
        await _until(lambda: "close B" in log and "close joined" in log)
        assert await _result(models.b) == "B2"


async def _result(model: Model[str]) -> str:
    async with model.lease() as handle:
        return handle.value


@pytest.mark.parametrize("fault", ["corrupt", "missing", "dependent"])
async def test_a_failed_reload_keeps_the_old_version(locked: Locked, fault: str) -> None:
    broken: list[bool] = []

    def picky(value: str) -> Iterator[str]:
        if broken:
            raise ValueError("no")
        yield value
        log.append("close picky")

    class Some(Registry):
        a: Model[str] = artifact("a.bin", loader=text)
        made: Model[str] = resource(picky, a)

    root = locked(a="A")
    models = Some(root=root)
    async with models.running():
        if fault == "corrupt":
            (root / "a.bin").write_bytes(b"x")
        elif fault == "missing":
            (root / "a.bin").unlink()
        else:
            broken.append(True)
        with pytest.raises(LoadOnceError):
            await models.a.reload()
        assert await _result(models.a) == "A"
        assert await _result(models.made) == "A"
        assert models.readiness().is_ready
        failed = models.made if fault == "dependent" else models.a
        assert failed.status().error
        assert failed.state is State.READY
        broken.clear()
        locked(a="A2")
        await models.a.reload()
        assert await _result(models.made) == "A2"
        assert models.a.status().error == ""


async def test_reload_brings_up_a_model_that_had_failed(locked: Locked) -> None:
    class Optional(Registry):
        a: Model[str] = artifact("a.bin", loader=text, required=False)

    root = locked(b="B")
    models = Optional(root=root)
    async with models.running():
        assert models.a.state is State.FAILED
        locked(a="A")
        await models.a.reload()
        assert await _result(models.a) == "A"
        assert not models.readiness().is_degraded


@pytest.mark.parametrize("reload", [True, False])
def test_a_retry_that_comes_after_a_reload_does_nothing(locked: Locked, reload: bool) -> None:
    class Late(Registry):
        late: Model[str] = artifact("a.bin", loader=text, when="background")

    root = locked(a="A")
    models = Late(root=root)
    (root / "a.bin").unlink()

    async def main() -> None:
        async with models.running():
            await _until(lambda: models.late.state is State.FAILED)
            (root / "a.bin").write_text("A")
            timer = models.late.slot.retry_timer
            assert timer is not None
            assert timer.when() > asyncio.get_running_loop().time()
            if reload:
                await models.late.reload()
                assert log == ["load a.bin"]
            await asyncio.sleep(timer.when() + 1 - asyncio.get_running_loop().time())
            await _until(lambda: models.late.state is State.READY)  # the control: by the retry
            assert log == ["load a.bin"]

    FakeClock().run(main())


class Cycle:
    def __init__(self, source: Source) -> None:
        self.me = self


@pytest.mark.parametrize("freeze", [True, False])
async def test_what_a_replaced_version_held_in_cycles_goes_with_it(
    locked: Locked, freeze: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADONCE_FREEZE", str(freeze))

    class One(Registry):
        a: Model[Cycle] = artifact("a.bin", loader=Cycle)

    models = One(root=locked(a="A"))
    async with models.running():
        assert (gc.get_freeze_count() > 0) is freeze
        async with models.a.lease() as handle:
            old = weakref.ref(handle.value)
        await models.a.reload()
        if not freeze:
            await asyncio.sleep(0.05)
            gc.collect()
        await _until(lambda: old() is None)


@pytest.mark.parametrize("freeze", [True, False])
async def test_what_loads_after_the_start_is_frozen_too(
    locked: Locked, freeze: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADONCE_FREEZE", str(freeze))

    class One(Registry):
        a: Model[Cycle] = artifact("a.bin", loader=Cycle, when="first_use")

    models = One(root=locked(a="A"))
    async with models.running(), models.a.lease() as handle:
        walked = {id(each) for each in gc.get_objects()}
        assert (id(handle.value) not in walked) is freeze


async def test_a_close_that_hangs_is_given_up(
    locked: Locked, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()

    class One(Registry):
        a: Model[str] = artifact(
            "a.bin", loader=text, close=lambda _value: release.wait(30), drain_timeout=0.05
        )

    async with One(root=locked(a="A")).running():
        pass
    assert "closing raised" in caplog.text
    release.set()


async def test_concurrent_reloads_share_one_load(locked: Locked) -> None:
    models = Two(root=locked(a="A", b="B"))
    async with models.running():
        log.clear()
        await asyncio.gather(*(models.a.reload() for _ in range(4)))
        assert log.count("load a.bin") == 1


async def test_a_lease_that_never_ends_is_bounded(
    locked: Locked, caplog: pytest.LogCaptureFixture
) -> None:
    class Short(Registry):
        a: Model[str] = artifact("a.bin", loader=text, drain_timeout=0.05)

    models = Short(root=locked(a="A"))
    async with models.running(), models.a.lease() as handle:
        await models.a.reload()
        await _until(lambda: "still held" in caplog.text)
        await asyncio.sleep(0.05)
        with pytest.raises(NotReadyError, match="unloaded"):
            _ = handle.value


async def test_reload_during_shutdown_is_refused(locked: Locked) -> None:
    models = Two(root=locked(a="A", b="B"))
    async with models.running():
        manager = models.a.slot.manager
        assert manager is not None
        manager.is_stopping = True
        with pytest.raises(NotReadyError, match="shutting down"):
            await models.a.reload()
        models.a.slot.current, current = None, models.a.slot.current
        with pytest.raises(NotReadyError, match="shutting down"):
            async with models.a.lease():
                raise AssertionError("unreachable")
        models.a.slot.current = current


async def test_stopping_waits_for_leases_and_calls_in_flight(locked: Locked) -> None:
    models = Two(root=locked(a="A", b="B"))
    running = models.running()
    await running.__aenter__()
    release = threading.Event()
    lease = models.a.lease()
    handle: Handle[str] = await lease.__aenter__()
    call = asyncio.create_task(handle.run(lambda value: release.wait(10)))
    await asyncio.sleep(0.01)
    stopping = asyncio.create_task(running.__aexit__(None, None, None))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    release.set()
    assert await call is True
    await lease.__aexit__()
    await stopping
    assert models.a.slot.latest is not None
    assert models.a.slot.latest.state is State.UNLOADED


async def test_a_close_that_raises_is_told_and_stops_nothing(
    locked: Locked, caplog: pytest.LogCaptureFixture
) -> None:
    class Bad(Registry):
        first: Model[str] = resource(pool)
        a: Model[str] = artifact("a.bin", loader=text, close=lambda value: 1 / 0)

    models = Bad(root=locked(a="A"))
    async with models.running():
        pass
    assert "closing raised" in caplog.text
    assert log[-1] == "close pool"


async def test_stopping_while_an_old_version_drains_closes_it_too(locked: Locked) -> None:
    models = Two(root=locked(a="A", b="B"))
    running = models.running()
    await running.__aenter__()
    lease = models.b.lease()
    await lease.__aenter__()
    await models.b.reload()
    stopping = asyncio.create_task(running.__aexit__(None, None, None))
    await asyncio.sleep(0.05)
    await lease.__aexit__()
    await stopping
    assert log.count("close B") == 2


# -- overrides ---------------------------------------------------------------------------------


async def test_an_override_before_the_start_never_opens_the_file(tmp_path: Path) -> None:
    class One(Registry):
        a: Model[str] = artifact("gone.bin", loader=text)

    models = One(root=tmp_path)
    with models.a.override("stub"):
        assert models.a.run(str.upper) == "STUB"
        async with models.running(), models.a.lease() as handle:
            assert handle.value == "stub"
            assert handle.version == "override"
            with models.a.override("inner"):
                assert await _result(models.a) == "inner"
            assert await _result(models.a) == "stub"
    assert log == []


async def test_what_another_object_costs_is_measured_anew(tmp_path: Path) -> None:
    """A stub that blocks would stop the loop if it ran there as the quick one before it did."""

    def known() -> object:
        return models.a.status().statistics.placements

    class One(Registry):
        a: Model[str] = artifact("gone.bin", loader=text)

    models = One(root=tmp_path)
    with models.a.override("stub"):
        async with models.running(), models.a.lease() as handle:
            await handle.run(str.upper)
            assert known() != {}
            with models.a.override("inner"):
                assert known() == {}
                await handle.run(str.upper)
                assert known() != {}
            assert known() == {}


async def test_an_override_works_without_a_running_registry(tmp_path: Path) -> None:
    models = Two(root=tmp_path)
    with models.a.override("stub"):
        async with models.a.lease() as handle:
            assert await handle.run(str.upper) == "STUB"
            assert handle.run_sync(str.upper) == "STUB"
            assert await handle.batch(lambda value, items: [value + i for i in items], "!") == (
                "stub!"
            )
    with pytest.raises(NotRunningError):
        handle.run_sync(str.upper)


# -- declaring ---------------------------------------------------------------------------------


def test_declarations_that_cannot_work_are_refused() -> None:
    for options in (
        {"threads": 0},
        {"max_queue": 0},
        {"max_batch_size": 0},
        {"threads": 2, "thread_safe": False},
        {"when": "later"},
        {"placement": "moon"},
    ):
        with pytest.raises(ConfigurationError):
            artifact("a.bin", **options)
    for taken in ("status", "events"):
        with pytest.raises(ConfigurationError, match="attribute of this name"):
            type("Bad", (Registry,), {taken: artifact("a.bin")})
    one: Model[str] = artifact("a.bin")
    with pytest.raises(ConfigurationError, match="already declared"):
        _declare(one=one, two=one)


def _declare(**models: Model[Any]) -> type[Registry]:
    try:
        return type("Bad", (Registry,), dict(models))
    except RuntimeError as error:  # before Python 3.12 __set_name__'s errors come wrapped
        raise (error.__cause__ or error) from None


def test_a_model_that_is_annotated_but_not_declared_is_refused() -> None:
    for annotation in (Model[str], "Model[str]"):
        with pytest.raises(ConfigurationError, match=r"Bad.forgotten: .*not declared"):
            type("Bad", (Registry,), {"__annotations__": {"forgotten": annotation}})
    type("Good", (Two,), {"__annotations__": {"a": Model[str], "note": str}})


async def test_a_registry_whose_init_is_not_called_says_so() -> None:
    class Models(Registry):
        a: Model[str] = artifact("a.bin", loader=lambda source: bytes(source.data).decode())

        def __init__(self) -> None:
            self.note = "mine"

    models = Models()
    with pytest.raises(ConfigurationError, match=r"Models.__init__ must call super\(\).__init__"):
        async with models.lifespan(None):
            pass
    with pytest.raises(ConfigurationError, match="must call super"):
        len(models)
    assert copy.copy(models).note == "mine"
    with pytest.raises(AttributeError, match="'Registry' object has no attribute 'b'"):
        Registry().b  # type: ignore[attr-defined]


def test_an_attribute_that_a_registry_lacks_is_missed_as_of_any_object() -> None:
    class Models(Registry):
        a: Model[str] = artifact("a.bin", loader=lambda source: bytes(source.data).decode())

        def __init__(self) -> None:
            self.known = hasattr(self, "note"), getattr(self, "note", "none")  # before the call
            super().__init__()

        @property
        def broken(self) -> object:
            return self.nothing  # type: ignore[attr-defined]

    models = Models()
    assert models.known == (False, "none")
    assert not hasattr(models, "note")
    with pytest.raises(AttributeError, match="'Models' object has no attribute 'nothing'"):
        models.broken
    assert isinstance(mock.create_autospec(Models, instance=True), Models)


def test_a_factory_that_was_called_already_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="factory itself"):
        resource(pool())  # type: ignore[call-overload]


def test_a_resource_needs_models_of_its_own_registry() -> None:
    class Bad(Registry):
        made: Model[str] = resource(_shouted, Two.a)

    with pytest.raises(ConfigurationError, match="not declared above"):
        Bad()
    assert "resource" in Bad.made.declaration.kind
    with pytest.raises(ConfigurationError, match="taken from the registry class"):
        Two.a.state
    assert repr(Two.a) == "<Model a (not bound to a registry instance)>"


async def _until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
