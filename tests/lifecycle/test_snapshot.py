"""What loads late belongs to one set with what loaded at the start, until a reload."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loadonce import FailedError, Model, ModelError, Registry, Source, State, artifact
from loadonce.artifacts import LOCK_NAME, LockFile
from loadonce.errors import ArtifactCorruptError

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

Locked = Callable[..., Path]


def text(source: Source) -> str:
    found = bytes(source.data).decode()
    if found == "raise":
        raise ValueError("cannot be read")
    return found


class Models(Registry):
    soon: Model[str] = artifact("a.bin", loader=text)
    rare: Model[str] = artifact("b.bin", loader=text, when="first_use")


class Owned(Registry):
    rare: Model[str] = artifact("b.bin", loader=text, when="first_use", placement="process")


def name_versions(root: Path, version: str) -> None:
    """Lock the same bytes by another name."""
    lock = LockFile.read(root)
    for entry in lock.entries.values():
        lock = lock.with_entry(replace(entry, version=version))
    lock.write(root)


async def version_of(model: Model[str]) -> str:
    async with model.lease() as handle:
        return handle.version


async def test_what_is_locked_later_does_not_count_before_a_reload(locked: Locked) -> None:
    root = locked(a="A", b="B")
    name_versions(root, "1")
    models = Models(root)
    async with models.running():
        name_versions(root, "2")
        assert await version_of(models.rare) == "1"
        await models.rare.reload()
        assert await version_of(models.rare) == "2"
        assert await version_of(models.soon) == "1"  # a reload is of one model
    async with models.running():  # the control: another start
        assert await version_of(models.soon) == "2"


async def test_a_reload_of_one_model_counts_for_what_loads_after_it(locked: Locked) -> None:
    root = locked(a="A", b="B")
    name_versions(root, "1")
    models = Models(root)
    async with models.running():
        name_versions(root, "2")
        await models.soon.reload()
        assert await version_of(models.rare) == "2"


async def test_a_reload_that_fails_changes_nothing_for_what_loads_after_it(locked: Locked) -> None:
    root = locked(a="A", b="B")
    name_versions(root, "1")
    models = Models(root)
    async with models.running():
        locked(a="raise")
        name_versions(root, "2")
        with pytest.raises(ModelError, match="cannot be read"):
            await models.soon.reload()
        assert await version_of(models.rare) == "1"


async def test_bytes_that_were_replaced_and_locked_are_refused_until_a_reload(
    locked: Locked,
) -> None:
    models = Models(locked(a="A", b="B"))
    async with models.running():
        locked(b="B2")
        with pytest.raises(FailedError):
            await version_of(models.rare)
        told = str(models.rare.slot.error)
        assert "(b.bin): was locked anew after the models were loaded" in told
        assert "loadonce reload" in told
        await models.rare.reload()
        assert models.rare.state is State.READY


@pytest.mark.parametrize("is_lock_gone", [False, True])
async def test_bytes_that_were_replaced_and_not_locked_differ_from_the_lock(
    locked: Locked, is_lock_gone: bool
) -> None:
    """The control: a reload would not help."""
    root = locked(a="A", b="B")
    models = Models(root)
    async with models.running():
        (root / "b.bin").write_text("B2")
        if is_lock_gone:
            (root / LOCK_NAME).unlink()
        with pytest.raises(FailedError):
            await version_of(models.rare)
        error = models.rare.slot.error
        assert isinstance(error, ArtifactCorruptError)
        assert "differs from models.lock" in str(error)


async def test_a_lock_file_that_was_not_there_is_read_when_it_is_needed(locked: Locked) -> None:
    class Late(Registry):
        rare: Model[str] = artifact("b.bin", loader=text, when="first_use")

    root = locked(b="B")
    (root / LOCK_NAME).unlink()
    models = Late(root)
    async with models.running():
        locked(b="B2")
        assert await version_of(models.rare)


async def test_a_root_that_is_a_function_is_asked_once_and_by_a_reload(
    tmp_path: Path, locked: Locked
) -> None:
    place = locked(b="B")
    roots = [place]

    class Late(Registry):
        rare: Model[str] = artifact("b.bin", loader=text, when="first_use", root=lambda: roots[-1])

    models = Late(tmp_path)
    async with models.running():
        other = place / "other"
        other.mkdir()
        (other / "b.bin").write_text("B2")
        (place / LOCK_NAME).rename(other / LOCK_NAME)
        roots.append(other)
        async with models.rare.lease() as handle:
            assert handle.value == "B"
        with pytest.raises(ArtifactCorruptError):
            await models.rare.reload()


def test_what_is_forked_after_a_preload_has_its_locks(locked: Locked) -> None:
    root = locked(a="A", b="B")
    name_versions(root, "1")
    models = Models(root)
    asyncio.run(models.preload())
    name_versions(root, "2")
    for _worker in range(2):  # as two workers would

        async def ask() -> str:
            async with models.running():
                return await version_of(models.rare)

        assert asyncio.run(ask()) == "1"


async def owner_of(model: Model[str]) -> int:
    async with model.lease() as handle:
        return await handle.run(_pid)


def _pid(_value: str) -> int:
    return os.getpid()


async def test_a_process_that_replaces_one_of_a_model_s_own_has_the_same_set(
    locked: Locked,
) -> None:
    root = locked(a="A", b="B")
    name_versions(root, "1")
    models = Owned(root)

    async def replaced() -> str:
        before = await owner_of(models.rare)
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(30):
            while True:
                try:
                    if await owner_of(models.rare) != before:
                        return await version_of(models.rare)
                except ModelError:
                    await asyncio.sleep(0.01)

    async with models.running():
        name_versions(root, "2")
        assert await version_of(models.rare) == "1"
        assert await replaced() == "1"
        await models.rare.reload()
        assert await version_of(models.rare) == "2"
        assert await replaced() == "2"  # the control


async def test_a_reload_finds_what_was_locked_since_a_process_of_its_own_failed(
    locked: Locked,
) -> None:
    models = Owned(locked(b="raise"))
    async with models.running():
        with pytest.raises(FailedError):
            await version_of(models.rare)
        locked(b="B")
        await models.rare.reload()
        assert await version_of(models.rare)
