"""A model in a process of its own, seen from the registry: real forks of the test's process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadonce import (
    ConfigurationError,
    Model,
    NotReadyError,
    Registry,
    Source,
    StartupError,
    State,
    artifact,
    lock_directory,
    resource,
)
from loadonce.errors import (
    CallFailedError,
    FailedError,
    GoldenMismatchError,
    LoaderFailedError,
    QuarantinedError,
)
from loadonce.lifecycle import owner as owner_module
from loadonce.lifecycle import slot as slot_module
from loadonce.lifecycle.inheriting import why_not_inherited
from loadonce.lifecycle.owning import _renew, connect
from loadonce.lifecycle.version import Version
from loadonce.owner import keeper as keeper_module
from loadonce.system import crashes as crashes_module

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

Locked = Callable[..., Path]


def text(source: Source) -> str:
    found = bytes(source.data).decode()
    if found == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if found == "raise":
        raise ValueError("cannot be read")
    return found


def crash(value: str) -> None:
    if value == "bad":
        os._exit(7)


def is_fine(value: str) -> bool:
    return value != "wrong"


def leave_a_note(value: str) -> None:
    if value.endswith("note"):
        Path(value).write_text(f"closed by {os.getpid()}")


class Models(Registry):
    a: Model[str] = artifact(
        "a.bin", loader=text, placement="process", golden=is_fine, close=leave_a_note
    )


class Both(Registry):
    a: Model[str] = artifact("a.bin", loader=text, placement="process")
    b: Model[str] = artifact("b.bin", loader=text)


class Optional(Registry):
    a: Model[str] = artifact("a.bin", loader=text, placement="process", required=False)
    late: Model[str] = artifact("b.bin", loader=text, placement="process", when="first_use")


class OwnError(Exception):
    pass


def pid(value: str) -> int:
    return os.getpid()


async def pid_later(value: str) -> int:
    await asyncio.sleep(0)
    return os.getpid()


def whole(value: str) -> str:
    return value


def sizes(value: str, items: list[int]) -> list[int]:
    return [len(items) for _ in items]


def wait(value: str, seconds: float) -> None:
    time.sleep(seconds)


def fail(value: str) -> None:
    raise OwnError


def stop(value: str) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def parts(value: str) -> Iterator[str]:
    yield value


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # nobody announces it
            await asyncio.sleep(0.01)


async def ready(models: Registry) -> None:
    await until(lambda: models["a"].state is State.READY)


async def test_calls_run_in_a_process_that_alone_has_the_object(
    locked: Locked, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    async with Models(locked(a=str(note))).loaded() as models, models.a.lease() as model:
        other = await model.run(pid)
        assert other != os.getpid()
        assert await model.run(pid_later) == other
        assert await model.run(whole) == str(note)
        assert await asyncio.to_thread(model.run_sync, pid) == other
        assert await asyncio.to_thread(models.a.run, pid) == other
        assert await model.batch(sizes, 1) == 1
        assert await model.batch_many(sizes, [1, 2, 3]) == [3, 3, 3]
        with pytest.raises(CallFailedError, match="OwnError"):
            await model.run(fail)
        status = models.a.status()
        assert (status.version, status.bytes_on_disk) == (model.version, len(str(note)))
        assert status.state is State.READY
    assert note.read_text() == f"closed by {other}"
    with pytest.raises(ProcessLookupError):
        os.kill(other, 0)


async def test_what_needs_the_object_here_is_refused(locked: Locked) -> None:
    async with Models(locked(a="/dev/null")).loaded() as models, models.a.lease() as model:
        with pytest.raises(ConfigurationError, match="cannot be had here"):
            _ = model.value
        with pytest.raises(ConfigurationError, match="cannot be streamed"):
            await anext(model.stream(parts))
        with pytest.raises(ConfigurationError, match="not a lambda"):
            await model.run(lambda value: value)
        with pytest.raises(ConfigurationError, match="ask for a handle"):
            _ = models.a.raw


def test_resources_and_what_is_made_from_such_models_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="is for artifacts"):
        resource(parts, placement="process")  # type: ignore[call-overload]

    class Made(Registry):
        a: Model[str] = artifact("a.bin", loader=text, placement="process")
        b: Model[str] = resource(parts, a)

    with pytest.raises(ConfigurationError, match="no resource can be made from it"):
        Made()


async def test_a_killed_process_is_replaced_and_calls_meanwhile_are_refused(
    locked: Locked,
) -> None:
    async with Models(locked(a="/dev/null")).loaded() as models, models.a.lease() as model:
        first = await model.run(pid)
        calls = [asyncio.create_task(model.run(wait, 60.0)) for _ in range(3)]
        await asyncio.sleep(0.05)
        os.kill(first, signal.SIGKILL)
        for call in calls:
            with pytest.raises(NotReadyError, match="has ended") as caught:
                await call
            assert caught.value.retry_after
        with pytest.raises(NotReadyError):  # this lease is on what is gone
            await model.run(pid)
        await ready(models)
        async with models.a.lease() as newer:
            second = await newer.run(pid)
        assert second not in (first, os.getpid())


async def test_a_process_that_stands_still_is_replaced(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "_SILENCE", 1.0)
    async with Models(locked(a="/dev/null")).loaded() as models, models.a.lease() as model:
        with pytest.raises(NotReadyError):
            await model.run(stop)
        await ready(models)


async def test_a_process_whose_model_hangs_is_replaced(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hasty(Registry):
        a: Model[str] = artifact("a.bin", loader=text, placement="process", timeout=0.1)

    monkeypatch.setattr(owner_module, "_HUNG", 0.3)
    async with Hasty(locked(a="/dev/null")).loaded() as models, models.a.lease() as model:
        first = await model.run(pid)
        with pytest.raises(Exception, match="no result within"):
            await model.run(wait, 60.0)
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(Exception):
                    async with models.a.lease() as newer:
                        if await newer.run(pid) != first:
                            break
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("content", "reason"),
    [("raise", "cannot be read"), ("wrong", "golden"), ("kill", "while it loaded: SIGKILL")],
)
async def test_what_cannot_be_loaded_there_stops_the_start(
    locked: Locked, content: str, reason: str
) -> None:
    models = Models(locked(a=content))
    with pytest.raises(StartupError, match=reason):
        async with models.loaded():
            pass
    assert models.a.slot.door is None


async def test_another_process_is_tried_again_until_it_loads(locked: Locked) -> None:
    root = locked(a="fine", b="late")
    async with Optional(root).loaded() as models, models.a.lease() as model:
        kept = (root / "a.bin").read_bytes()
        (root / "a.bin").unlink()
        os.kill(await model.run(pid), signal.SIGKILL)
        await until(lambda: models.a.slot.failures >= 2)
        (root / "a.bin").write_bytes(kept)
        await ready(models)


async def test_nothing_is_loaded_before_the_first_use(locked: Locked) -> None:
    async with Optional(locked(a="fine", b="late")).loaded() as models:
        assert models.late.state is State.PENDING
        async with models.late.lease() as model:
            assert await model.run(whole) == "late"


async def test_an_overridden_model_has_no_process(locked: Locked) -> None:
    models = Models(locked(a="/dev/null"))
    with models.a.override("mine"):
        async with models.loaded(), models.a.lease() as model:
            assert models.a.slot.door is None
            assert await model.run(lambda value: value) == "mine"
            assert model.value == "mine"
            assert [part async for part in model.stream(parts)] == ["mine"]


async def test_an_override_on_a_running_model_runs_here(locked: Locked) -> None:
    async with Models(locked(a="/dev/null")).loaded() as models:
        with models.a.override("mine"):
            async with models.a.lease() as model:
                assert await model.run(pid) == os.getpid()
                assert await model.run(pid_later) == os.getpid()
                assert await model.batch(sizes, 1) == 1


async def test_elsewhere_than_on_linux_the_model_lives_here(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_module, "is_linux", lambda: False)
    async with Models(locked(a="/dev/null")).loaded() as models, models.a.lease() as model:
        assert await model.run(pid) == os.getpid()


def keeper_of(models: Registry) -> int:
    kept: Any = models._owned_models
    pid: int = kept._keeper.pid
    return pid


async def test_a_killed_keeper_has_a_successor_in_a_fresh_interpreter(locked: Locked) -> None:
    async with Both(locked(a="fine", b="here")).loaded() as models:
        async with models.a.lease() as model:
            owners = {await model.run(pid)}
        for number in (2, 3):
            keeper = keeper_of(models)
            os.kill(keeper, signal.SIGKILL)
            await until(lambda known=keeper: keeper_of(models) != known)  # type: ignore[misc]
            await ready(models)
            async with models.a.lease() as model:
                owners.add(await model.run(pid))
                assert await model.run(whole) == "fine"
            assert len(owners) == number
        last = keeper_of(models)
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


async def test_a_keeper_that_stands_still_has_a_successor_when_it_is_needed(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "_SILENCE", 1.5)
    async with Both(locked(a="fine", b="here")).loaded() as models:
        keeper = keeper_of(models)
        os.kill(keeper, signal.SIGSTOP)
        async with models.a.lease() as model:
            assert await model.run(whole) == "fine"  # its owner goes on
            os.kill(await model.run(pid), signal.SIGKILL)
        await until(lambda: keeper_of(models) != keeper)
        await ready(models)
        async with models.a.lease() as model:
            assert await model.run(whole) == "fine"


async def test_a_killed_keeper_has_none_where_its_registry_cannot_be_imported(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Models, "__module__", "__main__")  # as in a script
    async with Models(locked(a="fine")).loaded() as models:
        os.kill(keeper_of(models), signal.SIGKILL)
        await until(lambda: "cannot import its registry" in models.a.status().error)
        assert "start the program again" in models.a.status().error
        assert models.a.slot.retry_timer is not None  # it says so again, in longer and longer times
        with pytest.raises(FailedError):
            async with models.a.lease():
                pass


async def test_a_door_with_nobody_behind_says_so(locked: Locked) -> None:
    async with Optional(locked(a="fine", b="late")).loaded() as models:
        models.a.slot.before_knock = None
        os.kill(keeper_of(models), signal.SIGKILL)
        await until(lambda: "no process can be started" in models.a.status().error)


def relock(root: Path, content: str) -> None:
    (root / "a.bin").write_text(content)
    lock_directory(root)


async def test_a_reload_loads_beside_the_old_version_which_its_leases_keep(
    locked: Locked,
) -> None:
    root = locked(a="old")
    async with Models(root).loaded() as models, models.a.lease() as older:
        process = await older.run(pid)
        relock(root, "new")
        await models.a.reload()
        async with models.a.lease() as newer:
            assert (await newer.run(whole), await older.run(whole)) == ("new", "old")
            assert await newer.run(pid) == process
            assert newer.version != older.version
        relock(root, "wrong")
        with pytest.raises(GoldenMismatchError):
            await models.a.reload()
        async with models.a.lease() as newer:
            assert await newer.run(whole) == "new"


async def test_a_version_that_crashes_its_process_is_refused_there_until_another_comes(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crashes_module, "_FIRST_DELAY", 0.01)
    root = locked(a="bad")
    told: list[str] = []
    models = Models(root)
    models.a.slot.on_quarantine = told.append
    async with models.loaded():
        digest = models.a.status().sha256
        async with asyncio.timeout(30):
            while not told:
                with contextlib.suppress(NotReadyError, FailedError):
                    async with models.a.lease() as model:
                        await model.run(crash)
                await asyncio.sleep(0.01)
        assert told == [digest]
        with pytest.raises(QuarantinedError, match=digest[:12]):
            async with models.a.lease():
                pass
        assert models.readiness().is_degraded
        assert models.a.slot.retry_timer is None  # nobody reads it again and again
        with pytest.raises(QuarantinedError):
            await models.a.reload()
        relock(root, "mended")
        await models.a.reload()
        async with models.a.lease() as model:
            await model.run(crash)
        assert not models.readiness().is_degraded


def test_a_version_known_to_crash_its_process_is_not_tried_there_again(locked: Locked) -> None:
    root = locked(a="bad")
    with Models(root).loaded() as models:
        digest = models.a.status().sha256
    models = Models(root)
    models.a.slot.quarantined.add(digest)
    with models.loaded(), pytest.raises(QuarantinedError):
        models.a.run(crash)


async def test_a_version_that_failed_is_not_to_blame_for_one_that_serves(
    locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crashes_module, "TOO_MANY", 1)
    root = locked(a="bad")
    told: list[str] = []
    models = Models(root)
    models.a.slot.on_quarantine = told.append
    async with models.loaded():
        digest = models.a.status().sha256
        relock(root, "wrong")
        with pytest.raises(GoldenMismatchError):
            await models.a.reload()
        relock(root, "bad")
        async with models.a.lease() as model:
            with pytest.raises(NotReadyError):
                await model.run(crash)
        await until(lambda: bool(told))
    assert told == [digest]


async def test_what_one_process_reloads_the_others_get(locked: Locked) -> None:
    root = locked(a="old")
    models, others = Models(root), Models(root)
    async with models.loaded():
        others.a.slot.door = models.a.slot.door
        async with others.loaded():
            async with models.a.lease() as one, others.a.lease() as other:
                assert await one.run(pid) == await other.run(pid)
            relock(root, "new")
            await models.a.reload()
            await until(lambda: others.a.status().version == models.a.status().version)
            async with others.a.lease() as other:
                assert await other.run(whole) == "new"
            version: Any = others.a.slot.current
        assert version.state is State.UNLOADED
        _renew(others.a.slot, version)  # it serves no longer
        assert not others.a.slot.has_newer
        others.a.slot.door = None


def _preload_and_fork(models: Models) -> int:
    """As a zygote: preload, then run the registry in a child; the child's exit code."""
    keeper = owner_module.keep_owners([(models.a.slot, models.fix_locks())])
    asyncio.run(models.preload())
    assert models.a.slot.inherited is None
    assert why_not_inherited(models.a.slot) == 'placement="process"'
    child = os.fork()
    if child == 0:
        with models.loaded() as running:
            os._exit(running.a.run(pid) % 200 + 1)
    _pid, status = os.waitpid(child, 0)
    with models.loaded() as running:
        expected = running.a.run(pid) % 200 + 1
    models.a.slot.leave()
    keeper.close()
    assert os.waitstatus_to_exitcode(status) == expected
    return expected


def test_processes_forked_after_the_preload_share_one_owner(locked: Locked) -> None:
    assert _preload_and_fork(Models(locked(a="/dev/null")))


async def test_a_model_without_a_door_says_so(locked: Locked) -> None:
    async with Both(locked(a="/dev/null", b="b")).loaded() as models:
        async with models.b.lease() as model:
            assert model.value == "b"
        models.a.slot.leave()
        with pytest.raises(LoaderFailedError, match="never started"):
            await connect(models.a.slot, Version("a", 1))


def test_a_preload_that_fails_there_stops_the_start(locked: Locked) -> None:
    models = Models(locked(a="raise"))
    keeper = owner_module.keep_owners([(models.a.slot, models.fix_locks())])
    with pytest.raises(StartupError, match="cannot be read"):
        asyncio.run(models.preload())
    models.a.slot.leave()
    keeper.close()


def room_asked_for(models: Registry) -> list[int]:
    """As a zygote: preload, and tell what its supervisor is asked for."""
    asked: list[int] = []

    async def make_room(needed: int) -> None:
        asked.append(needed)

    owned = [(model.slot, models.fix_locks()) for model in models if model.slot.is_owned]
    keeper = owner_module.keep_owners(owned)
    try:
        asyncio.run(models.preload(make_room))
    finally:
        for slot, _locks in owned:
            slot.leave()
        keeper.close()
    return asked


def test_room_is_asked_for_what_processes_of_their_own_load_too(locked: Locked) -> None:
    root = locked(a="x" * 10_000, b="y")
    assert room_asked_for(Models(root)) == [20_000]
    assert 20_000 < room_asked_for(Both(root))[0] < 30_000
    assert room_asked_for(Optional(root)) == []  # it does without


def test_what_is_not_locked_there_is_told_by_its_process(locked: Locked) -> None:
    root = locked(b="y")
    with pytest.raises(StartupError, match=r"model 'a' \(a\.bin\)"):
        room_asked_for(Models(root))
