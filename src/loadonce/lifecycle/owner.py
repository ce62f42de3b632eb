"""The process that has one model: it loads, warms up and checks as any other does, then answers the
calls of all that have its door."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from loadonce.errors import StartupError
from loadonce.observe.events import Events, log_event, log_fields
from loadonce.owner.door import Door
from loadonce.owner.heartbeat import Heartbeat
from loadonce.owner.keeper import EXIT_NOT_LOADED, Keeper, OwnerProcess, fork_keeper
from loadonce.owner.server import OwnerServer, refuse
from loadonce.settings import Settings
from loadonce.system.crashes import Culprits

from .handle import Handle
from .manager import Manager
from .owning import TOLD
from .slot import Slot
from .snapshot import LockSnapshot

_BEAT = 0.5  # seconds between two signs of life
_HUNG = 8.0  # seconds that no thread of the model may be in time before its process gives up


def keep_owners(
    owned: Sequence[tuple[Slot[Any], LockSnapshot]],
    *,
    guardian: int | None = None,
    prepare: Callable[[], None] = lambda: None,
) -> Keeper:
    """Fork the process that will have these models in processes of their own, and give each slot
    its door. Nothing is loaded before somebody knocks.

    Call it before anything is loaded and before threads are started.

    Args:
        owned: the slots, each with what is trusted.
        guardian, prepare: as for `fork_keeper`.
    """
    owners = []
    for slot, locks in owned:
        slot.door, inside = Door.pair()
        culprits = Culprits(slot.quarantined)
        run = partial(run_owner, slot, locks, culprits)
        owners.append(owner := OwnerProcess(slot.name, slot.door, inside, run, culprits))
        slot.trust_anew = owner.heartbeat.reload
    keeper = fork_keeper(owners, guardian=guardian, prepare=prepare)
    for slot, _locks in owned:
        slot.while_waiting = keeper.end_if_stuck
    return keeper


def run_owner(
    slot: Slot[Any], locks: LockSnapshot, culprits: Culprits, door: Door, heartbeat: Heartbeat
) -> int:
    """Be the process that has this model; returns its exit code.

    Args:
        slot: as the app declares it.
        locks: what is trusted, unless there has been a reload.
        culprits: the versions that are not to be loaded.
        door, heartbeat: the owner's.
    """
    own = _own_slot(slot)
    own.quarantined |= culprits.known
    if heartbeat.has_reloaded:
        locks = locks.anew()
    return asyncio.run(_own(own, locks, door, heartbeat))


def _own_slot(slot: Slot[Any]) -> Slot[Any]:
    declared = replace(slot.declaration, placement="auto", when="startup", required=True)
    return slot.twin(declared)


async def _own(own: Slot[Any], locks: LockSnapshot, door: Door, heartbeat: Heartbeat) -> int:
    events = Events()
    events.subscribe(log_event)
    events.subscribe(lambda _event: _tell_digest(own, heartbeat))
    settings = Settings().model_copy(update={"workers": 1})
    manager = Manager([own], locks, settings, events)
    try:
        await manager.start()
    except StartupError as error:
        refuse(door, own.name, error.failures[0])
        return EXIT_NOT_LOADED
    if own.error is not None:  # in quarantine, which stops no start
        refuse(door, own.name, own.error)
        await manager.stop()
        return EXIT_NOT_LOADED
    beating = asyncio.create_task(_beat(own, heartbeat))

    async def reload() -> None:
        await manager.reload(own)
        heartbeat.reload()

    server = OwnerServer(
        own.name,
        door,
        lambda: {name: getattr(own.current, name) for name in TOLD} | {"owner": os.getpid()},
        lambda: Handle(own, own.acquire()),
        lambda: own.statistics.snapshot({}).counters(),
        reload,
    )
    await server.serve()
    beating.cancel()
    await manager.stop()
    return 0


def _tell_digest(own: Slot[Any], heartbeat: Heartbeat) -> None:
    """What is to blame if this process dies now: the newest version, unless that has failed."""
    version = own.latest if own.error is None else own.current
    if version is not None:
        heartbeat.digest = version.sha256


async def _beat(slot: Slot[Any], heartbeat: Heartbeat) -> None:
    while True:
        heartbeat.beat()
        engine = slot.running_engine()
        if engine.hung_seconds > _HUNG:
            fields = {"model": slot.name, "seconds": round(engine.hung_seconds, 1)}
            log_fields(logging.ERROR, "model hangs, replacing its process", fields)
            os._exit(1)
        await asyncio.sleep(_BEAT)
