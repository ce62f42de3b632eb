"""What comes before any loading: read all artifacts once, compare them with the lock, see that they
fit. Nothing is deserialised here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from loadonce.artifacts import LockFile, Source
from loadonce.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ArtifactNotLockedError,
    ModelError,
)

from .building import Builder, artifact_of, insufficient_memory
from .declaration import ArtifactOrigin
from .locking import is_locked_anew, lock_on_first_use, locked_bytes
from .slot import Slot
from .snapshot import LockSnapshot

R = TypeVar("R")

# Told how many bytes are needed; returns when there is as much room in memory as there will be.
MakeRoom = Callable[[int], Awaitable[None]]

_REPLACED = ArtifactCorruptError, ArtifactNotFoundError, ArtifactNotLockedError
_LOCKED_ANEW = "was locked anew after the models were loaded, and no reload has followed"
_RELOAD = "`loadonce reload`, or `await models.NAME.reload()` under other servers"

_Needs = Sequence[tuple[Slot[Any], int]]


@dataclass(frozen=True, slots=True)
class _Locked:
    root: Path
    lock: LockFile
    size: int  # bytes on disk


class Verifier:
    """Verifies artifacts, one or all together.

    Args:
        builder: reads and compares.
        locks: what is trusted.
        is_development: lock what is not locked yet.
        on_failure: told of each slot that `verify_all` leaves out, and why.
        make_room: awaited by `verify_all` once the bytes are verified, before anything is loaded;
            before they are read only if there is no room for them. What processes of their own
            will load and have counts, too.
    """

    def __init__(
        self,
        builder: Builder,
        locks: LockSnapshot,
        *,
        is_development: bool,
        on_failure: Callable[[Slot[Any], ModelError], None],
        make_room: MakeRoom | None = None,
    ) -> None:
        self._builder = builder
        self._locks = locks
        self._is_development = is_development
        self._on_failure = on_failure
        self._make_room = make_room
        self._lock_reading = asyncio.Lock()  # development may write it

    async def verify_all(self, wanted: Sequence[Slot[Any]]) -> dict[Slot[Any], Source]:
        """The verified bytes of those that are read here and well; those that are not well are told
        to `on_failure`."""
        slots = [slot for slot in wanted if slot.is_read_here and slot.inherited is None]
        beside = await self._needs_beside([slot for slot in wanted if slot.is_owned])
        if not slots:
            if beside:
                await self._ask_for_room([], beside)
            return {}
        locked = await self._each(slots, self._lock_of)
        sizes = [(slot, each.size) for slot, each in locked.items()]
        if self._refusal(sizes):  # and the objects will take as much again, at least
            await self._ask_for_room([(slot, 2 * size) for slot, size in sizes], beside)
        for slot in self._refuse(sizes):
            del locked[slot]
        sources = await self._each(list(locked), lambda slot: self._read(slot, locked[slot]))
        required = {slot: each for slot, each in sources.items() if slot.declaration.required}
        needs = await self._builder.estimates(required)
        if all(slot in sources for slot in slots if slot.declaration.required):
            await self._ask_for_room(needs, beside)  # else nothing will be loaded
        for slot in self._refuse(needs):
            sources.pop(slot).close()
        return sources

    async def verify(self, slot: Slot[Any], newer: LockSnapshot | None = None) -> Source:
        """The verified bytes of one artifact.

        Args:
            slot: the model.
            newer: what is trusted instead, for a reload.

        Raises:
            ArtifactError: it is not what the lock names.
            InsufficientMemoryError: reading it would not fit.
        """
        locked = await self._lock_of(slot, newer)
        if refusal := self._builder.memory_refusal([(slot.name, locked.size)]):
            raise insufficient_memory(slot.name, refusal)
        return await self._read(slot, locked)

    async def _lock_of(self, slot: Slot[Any], newer: LockSnapshot | None = None) -> _Locked:
        locks, origin = newer or self._locks, artifact_of(slot)
        root = locks.root_of(origin)
        async with self._lock_reading:
            lock = await self._lock_file(locks, origin)
        return _Locked(root, lock, locked_bytes(origin, lock))

    async def _lock_file(self, locks: LockSnapshot, origin: ArtifactOrigin) -> LockFile:
        if self._is_development:
            return await asyncio.to_thread(lock_on_first_use, locks.root_of(origin), origin)
        if locks.lacks([origin]):
            await asyncio.to_thread(locks.lock_of, origin)
        return locks.lock_of(origin)

    async def _read(self, slot: Slot[Any], locked: _Locked) -> Source:
        try:
            return await self._builder.verify(slot, locked.root, locked.lock)
        except _REPLACED as error:
            origin = artifact_of(slot)
            if await asyncio.to_thread(is_locked_anew, locked.root, origin, locked.lock):
                error.problem, error.hint = _LOCKED_ANEW, _RELOAD
            raise

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

    async def _needs_beside(self, owned: Sequence[Slot[Any]]) -> int:
        """About how many bytes other processes will take for these, each of which reads and checks
        its own; what is wrong with them it tells."""
        if self._make_room is None:
            return 0
        total = 0
        for slot in owned:
            if slot.declaration.required:
                with suppress(ModelError):
                    total += 2 * (await self._lock_of(slot)).size
        return total

    async def _ask_for_room(self, needs: _Needs, beside: int) -> None:
        total = sum(size for slot, size in needs if slot.declaration.required)
        if self._make_room is not None and self._builder.is_allowed(total):
            await self._make_room(total + beside)

    def _refusal(self, needs: _Needs) -> str:
        required = [(slot.name, size) for slot, size in needs if slot.declaration.required]
        return self._builder.memory_refusal(required)

    def _refuse(self, needs: _Needs) -> list[Slot[Any]]:
        """All required models or none; optional ones are refused one by one as they load."""
        refusal = self._refusal(needs)
        refused = [slot for slot, _size in needs if slot.declaration.required] if refusal else []
        for slot in refused:
            self._on_failure(slot, insufficient_memory(slot.name, refusal))
        return refused
