"""What is open: kept in the order of opening, drained together, closed in reverse."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from loadonce.errors import LoaderFailedError, QuarantinedError
from loadonce.observe.events import Events, ModelEvent

from .slot import Slot
from .version import State, Version

logger = logging.getLogger("loadonce")

Entries: TypeAlias = Sequence[tuple[Slot[Any], Version[Any]]]

_LEAST_CLOSING = 1.0  # seconds closing may take where `drain_timeout` is shorter


class Opened:
    """The READY versions of one running registry, and how they end: UNLOADED, or FAILED if closing
    fails.

    Each waits for its leases, and then for closing, each as long as its `drain_timeout` says. The
    waits for leases run side by side.

    Args:
        events: where draining and unloading are announced.
        on_retired: awaited when some have been closed and others serve on.
    """

    def __init__(self, events: Events, on_retired: Callable[[], Awaitable[None]]) -> None:
        self._events = events
        self._on_retired = on_retired
        self._entries: list[tuple[Slot[Any], Version[Any]]] = []
        self._retiring: set[asyncio.Task[None]] = set()
        self._is_closing = False

    def add(self, slot: Slot[Any], version: Version[Any]) -> None:
        """This one serves from now on."""
        self._entries.append((slot, version))

    def forget(self, version: Version[Any]) -> None:
        """Close this one no more."""
        self._entries = [entry for entry in self._entries if entry[1] is not version]

    def retire(self, entries: Entries) -> asyncio.Task[None]:
        """Drain and close versions that new requests no longer get, given in the order of opening.

        That is never given up: `close` waits for it.
        """
        self._withdraw(entries)
        task = asyncio.create_task(self._retire(entries))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return task

    async def close(self) -> None:
        """Let all leases end, then close everything in the reverse order of opening."""
        self._is_closing = True
        entries = self._entries
        for slot, _version in entries:
            slot.current = None
        self._withdraw(entries)
        await _wait_for_leases(entries)
        if self._retiring:  # may use what is closed next
            await asyncio.wait(self._retiring)
        for slot, version in reversed(entries):
            assert slot.engine is not None
            await slot.engine.close()
            await self._close(slot, version)

    async def _retire(self, entries: Entries) -> None:
        await _wait_for_leases(entries)
        for slot, version in reversed(entries):
            await self._close(slot, version)
        if not self._is_closing:
            await self._on_retired()

    def _withdraw(self, entries: Entries) -> None:
        for slot, version in entries:
            self.forget(version)
            version.move(State.DRAINING)
            self._events.publish(ModelEvent(slot.name, "draining", version=version.label))

    async def _close(self, slot: Slot[Any], version: Version[Any]) -> None:
        if version.sha256 in slot.quarantined:  # closing it might be what crashes
            version.fail(QuarantinedError(slot.name, version.sha256))
            return
        try:
            async with asyncio.timeout(max(slot.declaration.drain_timeout, _LEAST_CLOSING)):
                await version.close()
        except Exception as error:
            logger.exception("model '%s': closing raised", slot.name)
            version.fail(LoaderFailedError(slot.name, f"closing raised {type(error).__name__}"))
        else:
            version.move(State.UNLOADED)
        version.take()
        self._events.publish(ModelEvent(slot.name, "unloaded", version=version.label))


async def _wait_for_leases(entries: Entries) -> None:
    await asyncio.gather(*(_wait_until_idle(slot, version) for slot, version in entries))


async def _wait_until_idle(slot: Slot[Any], version: Version[Any]) -> None:
    idle = asyncio.Event()
    version.when_idle(idle.set)
    patience = slot.declaration.drain_timeout
    try:
        async with asyncio.timeout(patience):
            await idle.wait()
    except TimeoutError:
        logger.warning(
            "model '%s': %d requests still held version %s after %g s; unloading it",
            *(slot.name, version.leases, version.label, patience),
        )
