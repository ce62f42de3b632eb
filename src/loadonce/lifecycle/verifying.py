"""What comes before any loading: read all artifacts once, compare them with the lock, see that they
fit. Nothing is deserialised here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from loadonce.artifacts import LockFile, Source
from loadonce.errors import ModelError

from .building import Builder, artifact_of, insufficient_memory
from .declaration import ArtifactOrigin
from .locking import locked_bytes, read_lock, resolve_root
from .slot import Slot

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Locked:
    root: Path
    lock: LockFile
    size: int  # bytes on disk


class Verifier:
    """Verifies artifacts, one or all together.

    Args:
        builder: reads and compares.
        root: where the artifacts lie that name no root of their own.
        is_development: lock what is not locked yet.
        on_failure: told of each slot that `verify_all` leaves out, and why.
    """

    def __init__(
        self,
        builder: Builder,
        root: Path,
        *,
        is_development: bool,
        on_failure: Callable[[Slot[Any], ModelError], None],
    ) -> None:
        self._builder = builder
        self._root = root
        self._is_development = is_development
        self._on_failure = on_failure
        self._lock_reading = asyncio.Lock()  # development may write it

    async def verify_all(self, slots: Sequence[Slot[Any]]) -> dict[Slot[Any], Source]:
        """The verified bytes of those that are well; the others are told to `on_failure`."""
        if not slots:
            return {}
        known: dict[Path, LockFile] = {}  # each lock file is read once
        locked = await self._each(slots, lambda slot: self._lock_of(slot, known))
        for slot in self._refuse([(slot, each.size) for slot, each in locked.items()]):
            del locked[slot]
        sources = await self._each(list(locked), lambda slot: self._read(slot, locked[slot]))
        required = {slot: each for slot, each in sources.items() if slot.declaration.required}
        for slot in self._refuse(await self._builder.estimates(required)):
            sources.pop(slot).close()
        return sources

    async def verify(self, slot: Slot[Any]) -> Source:
        """The verified bytes of one artifact.

        Raises:
            ArtifactError: it is not what the lock names.
            InsufficientMemoryError: reading it would not fit.
        """
        locked = await self._lock_of(slot, {})
        if refusal := self._builder.memory_refusal([(slot.name, locked.size)]):
            raise insufficient_memory(slot.name, refusal)
        return await self._read(slot, locked)

    async def _lock_of(self, slot: Slot[Any], known: dict[Path, LockFile]) -> _Locked:
        origin = artifact_of(slot)
        root = self._root if origin.root is None else resolve_root(origin.root)
        async with self._lock_reading:
            lock = await self._lock_file(root, origin, known)
        return _Locked(root, lock, locked_bytes(origin, lock))

    async def _lock_file(
        self, root: Path, origin: ArtifactOrigin, known: dict[Path, LockFile]
    ) -> LockFile:
        if root not in known or self._is_development:
            known[root] = await asyncio.to_thread(
                read_lock, root, origin, is_development=self._is_development
            )
        return known[root]

    async def _read(self, slot: Slot[Any], locked: _Locked) -> Source:
        return await self._builder.verify(slot, locked.root, locked.lock)

    async def _each(
        self, slots: Sequence[Slot[Any]], step: Callable[[Slot[Any]], Coroutine[Any, Any, R]]
    ) -> dict[Slot[Any], R]:
        results = await asyncio.gather(*(step(slot) for slot in slots), return_exceptions=True)
        good: dict[Slot[Any], R] = {}
        for slot, result in zip(slots, results, strict=True):
            if isinstance(result, ModelError):
                self._on_failure(slot, result)
            elif isinstance(result, BaseException):
                raise result
            else:
                good[slot] = result
        return good

    def _refuse(self, needs: Sequence[tuple[Slot[Any], int]]) -> list[Slot[Any]]:
        """All required models or none; optional ones are refused one by one as they load."""
        required = [(slot, size) for slot, size in needs if slot.declaration.required]
        refusal = self._builder.memory_refusal([(slot.name, size) for slot, size in required])
        if not refusal:
            return []
        for slot, _size in required:
            self._on_failure(slot, insufficient_memory(slot.name, refusal))
        return [slot for slot, _size in required]
