"""What a zygote does before it forks: import the app, load its models, and start nothing that a
fork would break."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from loadonce.inference.threads import run_in_thread
from loadonce.lifecycle.inheriting import OWNED, why_not_inherited
from loadonce.lifecycle.registry import Registry
from loadonce.lifecycle.reporting import models_by_name
from loadonce.lifecycle.verifying import MakeRoom
from loadonce.observe.events import Listener, log_fields
from loadonce.observe.gaps import fill_gaps
from loadonce.observe.memory import give_back_freed
from loadonce.server.app.importing import import_app
from loadonce.server.app.preparing import prepare
from loadonce.server.board.journal import known_registries
from loadonce.server.options import ServeOptions
from loadonce.system.one_thread import OneThread
from loadonce.system.signals import Stopping, StopRequestedError

from .expecting import expect
from .locks import Stamps, lock_files, stamps
from .native_jobs import run_jobs_alone
from .quarantine import Quarantine

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from loadonce.owner.keeper import Keeper

logger = logging.getLogger("loadonce")

_LAST_THREADS = 2.0  # seconds for the threads that loaded to end
_SHORT = 0.1  # and for one that the app has started


class CannotForkError(Exception):
    """What the app has started while it was imported would not exist in a forked process."""


class Preloading:
    """The app and its models, loaded for the processes that will be forked from this one.

    Args:
        options: of the server.
        stopping: entered already; a signal ends the load and closes what was loaded.
        quarantine: which versions no process is to be started for.
        expected: see `expect`.

    Attributes:
        config: how uvicorn serves the app; made by `load`.
        environment: to be put back in the forked processes.
        locks: the stamps of the lock files before they were read.
    """

    config: uvicorn.Config

    def __init__(
        self,
        options: ServeOptions,
        stopping: Stopping,
        quarantine: Quarantine,
        expected: Sequence[str] = (),
    ) -> None:
        self.locks: Stamps = {}
        self._options = options
        self._stopping = stopping
        self._quarantine = quarantine
        self._expected = expected
        self._keeper: Keeper | None = None
        self._fillers: list[object] = []
        self.environment = OneThread()

    def load(self, make_room: MakeRoom, listener: Listener) -> None:
        """Import the app and load its models; calls none of them.

        Args:
            make_room: awaited before the objects are loaded, with how many bytes they take.
            listener: told what happens to each model meanwhile.

        Raises:
            CannotForkError: one worker alone is better off without a fork.
            StopRequestedError: a signal asked for the end; what was loaded is closed again.
            Exception: the app cannot be imported, or a required model failed.
        """
        options = self._options
        from loadonce.settings import Settings  # which the supervisor needs not

        Settings()  # what cannot be meant is told before the import
        self.environment.set()
        os.environ["LOADONCE_WORKERS"] = str(options.workers)
        gc.disable()
        before = set(threading.enumerate())
        app = import_app(options.target, app_dir=options.app_dir, is_factory=options.is_factory)
        if options.workers == 1 and (reason := _why_not_forked(before)):
            raise CannotForkError(reason)
        expect(self._expected)
        gc.freeze()  # next to nothing of what was imported is garbage, and it takes long to walk
        self.locks = stamps(lock_files(known_registries()))  # before they are read
        for registry in known_registries():
            registry.fix_locks()
            registry.events.subscribe(listener)
        self._keeper = self._keep_owners()
        asyncio.run(self._preload(app, make_room))

    @property
    def keeper(self) -> int:
        """The process that has the models in processes of their own; 0 if there are none."""
        return self._keeper.pid if self._keeper is not None else 0

    def settle(self) -> None:
        """Leave one thread, no garbage, and little that workers would copy."""
        _tell_what_each_loads()
        _wait_for_threads()
        if self._options.workers > 1:
            _run_jobs_alone()
        gc.collect()
        give_back_freed()
        if self._options.workers > 1:
            self._fillers = fill_gaps()
        gc.freeze()

    def _keep_owners(self) -> Keeper | None:
        """Before anything is loaded, and any thread started. The supervisor adopts the keeper: it
        ends with the last worker of this generation."""
        owned = [
            (model.slot, registry.fix_locks())
            for registry in known_registries()
            for model in registry
            if model.slot.is_owned
        ]
        if not owned:
            return None
        for name, model in models_by_name(known_registries()).items():
            if model.slot.is_owned:
                model.slot.quarantined |= self._quarantine.digests_of(name)
        from loadonce.lifecycle.owner import keep_owners  # few apps have one

        return keep_owners(owned, guardian=os.getppid(), prepare=self.environment.put_back)

    async def _preload(self, app: ASGIApp, make_room: MakeRoom) -> None:
        """Load the models, unless told to stop; beside them, prepare what will serve."""
        self._stopping.attach(asyncio.get_running_loop())
        preparing = asyncio.create_task(
            run_in_thread(lambda: prepare(self._options, app), "prepare-server")
        )
        loading = asyncio.create_task(_preload(known_registries(), make_room))
        stop = asyncio.create_task(self._stopping.requested.wait())
        await asyncio.wait([loading, stop], return_when=asyncio.FIRST_COMPLETED)
        loading.cancel()
        await asyncio.wait([loading])
        stop.cancel()
        try:
            await loading
            self.config = await preparing
        except asyncio.CancelledError:
            raise StopRequestedError from None
        finally:
            self._stopping.detach()


async def _preload(known: Iterable[Registry], make_room: MakeRoom) -> None:
    for registry in known:
        await registry.preload(make_room)


def _run_jobs_alone() -> None:
    for registry in known_registries():
        for model in registry:
            if model.slot.inherited is not None:
                run_jobs_alone(model.slot.inherited.value)


def _tell_what_each_loads() -> None:
    reasons: dict[str, list[str]] = defaultdict(list)
    for registry in known_registries():
        for model in registry:
            reason = why_not_inherited(model.slot)
            if reason and reason not in ("a resource", OWNED):
                reasons[reason].append(model.name)
    for reason, names in reasons.items():
        fields: dict[str, object] = {"models": ", ".join(names), "reason": reason}
        log_fields(logging.INFO, "each worker loads its own", fields)


def _why_not_forked(before: set[threading.Thread]) -> str:
    """What a fork would break of an app that works in one process; "" for nothing known."""
    for thread in set(threading.enumerate()) - before:
        thread.join(_SHORT)
        if thread.is_alive():
            return f"the thread {thread.name} was started while the app was imported"
    return "polars is imported, whose threads do not survive a fork" if _has_polars() else ""


def _has_polars() -> bool:
    return "polars" in sys.modules


def _wait_for_threads() -> None:
    """A fork takes one thread along; say which others there are, for whom that is a surprise."""
    deadline = time.monotonic() + _LAST_THREADS
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    for thread in others:
        thread.join(max(0.0, deadline - time.monotonic()))
    for name in [thread.name for thread in others if thread.is_alive()]:
        log_fields(logging.WARNING, "workers will not have this thread", {"thread": name})
        logger.warning("start it in the app's lifespan, which runs in each worker")
    if _has_polars():
        logger.warning(
            "polars is imported: its own threads do not survive a fork, calls may hang; with "
            "--no-fork each worker loads its own models"
        )
