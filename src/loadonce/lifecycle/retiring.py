"""Unloading one version: announce, let the leases end, close, withdraw."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from loadonce.errors import LoaderFailedError
from loadonce.observe.events import Events, ModelEvent

from .slot import Slot
from .version import State, Version

logger = logging.getLogger("loadonce")

_LEAST_CLOSING = 1.0  # seconds closing may take where `drain_timeout` is shorter


async def unload(slot: Slot[Any], version: Version[Any], events: Events) -> None:
    """End a READY version that new requests no longer get: UNLOADED, or FAILED if closing fails.

    Waits for its leases, and then for closing, each as long as `drain_timeout` says.
    """
    version.move(State.DRAINING)
    events.publish(ModelEvent(slot.name, "draining", version=version.label))
    await _wait_for_leases(slot, version)
    await _close(slot, version)
    events.publish(ModelEvent(slot.name, "unloaded", version=version.label))


async def _wait_for_leases(slot: Slot[Any], version: Version[Any]) -> None:
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


async def _close(slot: Slot[Any], version: Version[Any]) -> None:
    try:
        async with asyncio.timeout(max(slot.declaration.drain_timeout, _LEAST_CLOSING)):
            await version.close()
    except Exception as error:
        logger.exception("model '%s': closing raised", slot.name)
        version.fail(LoaderFailedError(slot.name, f"closing raised {type(error).__name__}"))
    else:
        version.move(State.UNLOADED)
    version.take()
