"""Owned models: those of one registry that live in processes of their own, and who starts these.

Their keeper is forked before anything is loaded. When that is gone the app's process has threads
and models, which no fork survives: a fresh interpreter, which imports the registry's module, takes
its place.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from loadonce.errors import LoaderFailedError
from loadonce.observe.events import log_fields
from loadonce.owner.door import Door
from loadonce.owner.heartbeat import Heartbeat
from loadonce.owner.keeper import Keeper, OwnerProcess, keep
from loadonce.owner.names import find
from loadonce.system.crashes import Culprits

from .owner import keep_owners, run_owner
from .slot import Slot
from .snapshot import LockSnapshot

_PROGRAM = """
import json, sys
given = json.loads(sys.argv[1])
sys.path[:] = given["path"]
from loadonce.lifecycle.owned_models import keep_again
sys.exit(keep_again(given))
"""


class OwnedModels:
    """Belongs to the process that runs the registry, and to the thread that made it: the keeper
    ends with that thread.

    Args:
        owned: the slots, each with what is trusted.
    """

    def __init__(self, owned: Sequence[tuple[Slot[Any], LockSnapshot]]) -> None:
        self._owned = owned
        self._keeper = keep_owners(owned)
        for slot, _locks in owned:
            slot.before_knock = self.revive

    def revive(self) -> None:
        """Start another keeper if that has been killed.

        Raises:
            LoaderFailedError: a fresh interpreter would not find the registry.
        """
        if self._keeper.is_alive:
            return
        self._keeper.close()
        self._keeper = _start_again(self._owned)
        fields = {"models": ", ".join(slot.name for slot, _locks in self._owned)}
        log_fields(logging.ERROR, "the keeper of models' processes died, another starts", fields)

    def leave(self) -> None:
        """No process is asked for any more; those that live end."""
        for slot, _locks in self._owned:
            slot.leave()
            slot.before_knock = None

    def close(self) -> None:
        """Wait for the end of all."""
        self._keeper.close()


def _start_again(owned: Sequence[tuple[Slot[Any], LockSnapshot]]) -> Keeper:
    """Run `keep_again` in a fresh interpreter; each slot has another door."""
    homes = [_home_of(slot) for slot, _locks in owned]
    lifeline, theirs = socket.socketpair()
    passed = [theirs.fileno()]
    owners: list[dict[str, Any]] = []
    insides = []
    for (slot, locks), home in zip(owned, homes, strict=True):
        slot.leave()
        slot.door, inside = Door.pair()
        insides.append(inside)
        passed += [slot.door.fileno(), inside.fileno()]
        owners.append(
            {
                "home": home,
                "model": slot.name,
                "root": str(locks.root),
                "doors": passed[-2:],
                "quarantined": sorted(slot.quarantined),
            }
        )
    given = {"path": sys.path, "parent": os.getpid(), "lifeline": passed[0], "owners": owners}
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, json.dumps(given)],
        stdin=subprocess.DEVNULL,
        pass_fds=passed,
    )
    theirs.close()
    for inside in insides:
        inside.close()
    return Keeper(process.pid, lifeline, wait=process.wait)


def _home_of(slot: Slot[Any]) -> tuple[str, str]:
    """The module and the name by which a fresh interpreter finds the slot's registry."""
    module, name = slot.home
    if module == "__main__" or "<locals>" in name:
        raise LoaderFailedError(
            slot.name,
            "the keeper of its process was killed, and another one cannot import its registry",
            found=f"{name} in {module}",
            hint="start the program again; a registry in a module that can be imported has another "
            "keeper without that",
        )
    return module, name


def keep_again(given: dict[str, Any]) -> int:
    """In the fresh interpreter: be the keeper."""
    owners = [_owner_process(**each) for each in given["owners"]]
    lifeline = socket.socket(fileno=given["lifeline"])
    return keep(owners, lifeline, given["parent"], lambda: None, Heartbeat())


def _owner_process(
    home: tuple[str, str], model: str, root: str, doors: list[int], quarantined: list[str]
) -> OwnerProcess:
    registry = find(*home)
    slot: Slot[Any] = Slot(model, registry, registry._declared[model].declaration)
    culprits = Culprits(quarantined)
    run = partial(run_owner, slot, LockSnapshot(Path(root)), culprits)
    outside, inside = (Door(socket.socket(fileno=number)) for number in doors)
    return OwnerProcess(model, outside, inside, run, culprits)
