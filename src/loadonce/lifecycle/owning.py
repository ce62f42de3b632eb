"""A version whose object another process has: connecting to it."""

from __future__ import annotations

import asyncio
from typing import Any

from loadonce.errors import LoaderFailedError
from loadonce.owner.client import Elsewhere, OwnerClient

from .slot import Slot
from .version import State, Version

TOLD = (
    *("label", "sha256", "bytes_on_disk", "bytes_in_memory", "libraries"),
    *("read_seconds", "load_seconds", "warmup_seconds"),
)
"""What the process that loads a version tells those that call it, by the version's attributes."""


async def connect(slot: Slot[Any], version: Version[Any]) -> None:
    """Wait until the owner has loaded, and make the connection to it a READY version.

    Raises:
        ModelError: it could not load, or nobody starts one.
    """
    version.move(State.LOADING)
    if slot.door is None:
        raise LoaderFailedError(slot.name, "the process that would have it was never started")
    client = OwnerClient(slot.name, slot.door, slot.statistics, slot.declaration.timeout)
    for name, value in (await client.open()).items():
        setattr(version, name, value)
    version.is_inherited = True
    version.close = client.close
    version.ended = asyncio.create_task(client.lost(), name=f"owner-{slot.name}")
    version.publish(Elsewhere(client))
