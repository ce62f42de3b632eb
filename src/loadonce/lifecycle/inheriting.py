"""Loading before a fork: what one process has loaded, the processes forked from it adopt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loadonce.errors import LoadError
from loadonce.observe.events import Events
from loadonce.settings import Settings

from .building import artifact_of
from .loading import LoadPlan
from .manager import Manager
from .remaining import threads_left
from .slot import Slot
from .snapshot import LockSnapshot
from .verifying import MakeRoom
from .version import State

OWNED = 'placement="process"'


async def preload(
    slots: Sequence[Slot[Any]],
    locks: LockSnapshot,
    settings: Settings,
    events: Events,
    make_room: MakeRoom | None = None,
) -> None:
    """Verify and load what may cross a fork, and leave it in the slots as `inherited`.

    A manager that starts later on any event loop, in this process or in one forked from it, warms
    these versions up, checks their golden examples and publishes them; it opens no file for them.
    Nothing is called before the fork: a native library's threads would not exist after it.

    Raises:
        StartupError: a required model failed.
    """
    inherited = [slot for slot in slots if not why_not_inherited(slot)]
    owned = [slot for slot in slots if slot.door is not None and slot.when == "startup"]
    wanted = [slot for slot in slots if slot in inherited or slot in owned]
    unfrozen = settings.model_copy(update={"freeze": False})
    manager = Manager(wanted, locks, unfrozen, events, is_before_fork=True, make_room=make_room)
    await manager.start()
    for slot in inherited:  # the lock's formats are known only now
        slot.unshared = why_not_inherited(slot)
    for slot, names in (await threads_left(inherited)).items():
        slot.unshared = f"its loader has left threads running: {names}"
    for slot in wanted:
        loaded, slot.current = slot.current, None
        if loaded is not None and (slot in owned or slot.unshared):
            loaded.move(State.DRAINING)  # a process of its own stays; each worker connects to it
            await loaded.close()
        elif loaded is not None:
            loaded.is_inherited = True
            slot.inherited = loaded
        await slot.end()


def why_not_inherited(slot: Slot[Any]) -> str:
    """Why each process loads this model for itself, in a few words; "" if one does for all."""
    declaration = slot.declaration
    if slot.is_resource:
        return "a resource"
    if slot.is_owned:
        return OWNED
    if slot.is_overridden:
        return "overridden"
    if slot.when != "startup":
        return f'when="{declaration.when}"'
    if slot.unshared:
        return slot.unshared
    try:
        plan = LoadPlan.of(artifact_of(slot), slot.formats)
    except LoadError:  # loading it tells what is missing, together with what is wrong with others
        return ""
    return plan.why_after_fork(declaration.fork)
