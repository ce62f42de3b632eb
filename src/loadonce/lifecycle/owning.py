"""A version whose object another process has: connecting to it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from loadonce.errors import LoaderFailedError, LoadOnceError, QuarantinedError
from loadonce.owner.remote import RemoteObject

from .slot import Running, Slot
from .version import State, Version

TOLD = (
    *("label", "sha256", "bytes_on_disk", "bytes_in_memory", "libraries"),
    *("read_seconds", "load_seconds", "warmup_seconds"),
)
"""What the process that loads a version tells those that call it, by the version's attributes."""


async def connect(slot: Slot[Any], version: Version[Any], *, is_reload: bool = False) -> None:
    """Wait until the owner has loaded, and make the connection to it a READY version.

    While another version serves, the owner loads anew first. Each connection stays with the version
    that it found, which the owner keeps as long as any has it.

    Raises:
        ModelError: it could not load, or nobody starts one.
    """
    version.move(State.LOADING)
    if slot.door is None:
        raise LoaderFailedError(slot.name, "the process that would have it was never started")
    from loadonce.owner.client import OwnerClient  # with the codec: most apps need neither

    serving = slot.current.value if slot.current is not None else None
    if isinstance(serving, RemoteObject) and not slot.has_newer:
        await serving.client.reload()
    elif is_reload:
        slot.trust_anew()
    slot.has_newer = False
    if slot.before_knock is not None:
        slot.before_knock()
    client = OwnerClient(
        *(slot.name, slot.door, slot.statistics, slot.declaration.timeout),
        newer=lambda: _renew(slot, version),
        waiting=slot.while_waiting,
    )
    try:
        told = await client.open()
    except QuarantinedError as error:
        slot.quarantined.add(error.sha256)  # for a keeper that knows nothing yet
        slot.on_quarantine(error.sha256)
        raise
    for name, value in told.items():
        setattr(version, name, value)
    version.is_inherited = True
    version.close = client.close
    version.ended = asyncio.create_task(client.lost(), name=f"owner-{slot.name}")
    version.publish(RemoteObject(client))


def _renew(slot: Slot[Any], version: Version[Any]) -> None:
    """The owner has loaded anew for somebody else: go on with what it has now."""
    if slot.current is version and slot.manager is not None:
        slot.has_newer = True
        slot.renewal = asyncio.create_task(_reload(slot, slot.manager))


async def _reload(slot: Slot[Any], manager: Running) -> None:
    with suppress(LoadOnceError):  # told, and kept in the slot
        await manager.reload(slot)
