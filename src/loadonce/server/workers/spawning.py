"""Spawning: workers that are started from scratch, and load their own copies of the models.

For systems on which a process that has loaded cannot be forked, and for who wants no fork.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from loadonce.observe.events import log_fields
from loadonce.server.options import ServeOptions
from loadonce.system.channel import Channel, Message
from loadonce.system.linux import is_linux
from loadonce.system.signals import STOP_SIGNALS

from .child_processes import WorkerProcess, ZygoteProcess

if TYPE_CHECKING:
    from .zygote import ServerContext

_CODE = "from loadonce.server.workers.spawned import main; main({})"


class SpawnedGeneration(ZygoteProcess):
    """A generation without a zygote: nothing is loaded before its workers are started, and nothing
    stays when they have ended.

    Args:
        context: what the workers share with the supervisor, which is this process.
    """

    def __init__(self, context: ServerContext) -> None:
        nobody, nobody_else = Channel.pair()
        nobody.close()
        nobody_else.close()
        super().__init__(0, nobody, time.monotonic(), is_loaded=True)
        self._context = context

    @property
    def holds_memory(self) -> bool:
        """Its workers do."""
        return False

    def start_worker(self, worker: WorkerProcess, theirs: Channel, spec: Message) -> None:
        """Have a worker, of which the first of this generation shows how its models load.

        Raises:
            OSError: the system has no process for it.
        """
        context, is_silent = self._context, self.has_served
        shared = (context.listener.fileno(), context.board.descriptor, theirs.fileno())
        for descriptor in shared:
            os.set_inheritable(descriptor, True)
        worker.channel.send(
            spec
            | {
                "options": options_to_json(context.options),
                "listener": context.listener.fileno(),
                "board": context.board.descriptor,
                "supervisor": context.supervisor,
                "is_silent": is_silent,
            }
        )
        # Not in the supervisor's group: what a terminal sends, the supervisor passes on.
        worker.pid = worker.row.pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-c", _CODE.format(theirs.fileno())],
            _environment(context.options, is_silent=is_silent),
            setpgroup=0,
            setsigmask=STOP_SIGNALS,  # until it can stop in an orderly way
        )


def tell_copies(options: ServeOptions) -> None:
    """Say once what it costs that no process is forked, and why none is."""
    count = options.workers
    what = f"each worker loads its own models: {count} copies, {count} times the memory and work"
    reason = "--no-fork" if is_linux() else "only on Linux can workers share what was loaded once"
    log_fields(logging.INFO, what, {"reason": reason})


def options_to_json(options: ServeOptions) -> dict[str, Any]:
    """The options, for a message."""
    dumped: dict[str, Any] = _adapter().dump_python(options, mode="json")
    return dumped


def options_from_json(found: dict[str, Any]) -> ServeOptions:
    """What `options_to_json` made."""
    options: ServeOptions = _adapter().validate_python(found)
    return options


def _adapter() -> Any:
    from pydantic import TypeAdapter  # a fork needs none

    return TypeAdapter(ServeOptions)


def _environment(options: ServeOptions, *, is_silent: bool) -> dict[str, str]:
    chosen = {"LOADONCE_WORKERS": str(options.workers)}
    if is_silent:  # on a terminal the bars of several workers would overwrite each other
        chosen["LOADONCE_PROGRESS"] = "never"
    return {**os.environ, **chosen}
