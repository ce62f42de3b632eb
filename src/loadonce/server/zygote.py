"""The zygote: imports the app and loads the models once, then forks workers that have them.

It serves nothing and runs no event loop when it forks.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from loadonce.lifecycle.inheriting import why_not_inherited
from loadonce.lifecycle.registry import Registry
from loadonce.observe.events import log_fields
from loadonce.observe.memory import give_back_freed, let_go_of_files

from .board import Board
from .channel import Channel, Message
from .ending import EXIT_STOPPED, end_process, tell_failure
from .importing import import_app
from .journal import known_registries
from .linux import die_with
from .locks import Stamps, lock_files, stamps
from .logs import StartLines
from .native_jobs import run_jobs_alone
from .options import ServeOptions
from .preparing import prepare
from .signals import STOP_SIGNALS
from .worker import Birth, run_worker

if TYPE_CHECKING:
    import uvicorn

logger = logging.getLogger("loadonce")

# A thread pool that was used before a fork is gone after it, and whoever waits for it waits for
# ever; N workers with a thread for each core are slower than with one.
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_LAST_THREADS = 2.0  # seconds for the threads that loaded to end


@dataclass(frozen=True, slots=True)
class Nursery:
    """What the processes of one server share from their beginning.

    Attributes:
        options: of the server.
        lines: hold back the log lines of single models until the start is over.
        listener: the socket they all accept from.
        board: where each writes how it is.
        supervisor: the process they belong to.
    """

    options: ServeOptions
    lines: StartLines
    listener: socket.socket
    board: Board
    supervisor: int


def fork_zygote(nursery: Nursery, forget: Callable[[], None]) -> tuple[int, Channel]:
    """A new zygote: its process id, and the channel to it.

    Args:
        nursery: what it and its workers share with the caller.
        forget: closes, in the zygote, what is the caller's alone.
    """
    ours, theirs = Channel.pair()
    process = os.fork()
    if process == 0:
        ours.close()
        forget()
        _become(lambda: _Zygote(nursery, theirs).run())
    theirs.close()
    return process, ours


def _become(run: Callable[[], int]) -> NoReturn:
    """End this process with what `run` returns; nothing of the parent's runs at its end."""
    atexit._clear()
    code = 1
    try:
        code = run()
    except BaseException:
        logger.critical("a process of the server failed", exc_info=True)
    end_process(code)


class _Zygote:
    def __init__(self, nursery: Nursery, channel: Channel) -> None:
        self._nursery = nursery
        self._channel = channel
        self._locks: Stamps = {}
        self._has_forked = False

    def run(self) -> int:
        """Load, then fork when asked, until the supervisor closes the channel."""
        os.setpgid(0, 0)  # what a terminal sends, the supervisor passes on
        die_with(self._nursery.supervisor)
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        began = time.monotonic()
        try:
            config = self._load()
        except Exception as error:
            return tell_failure(error, self._nursery.options)
        self._nursery.lines.started()
        slots = [model.slot for registry in known_registries() for model in registry]
        loaded = {
            "what": "loaded",
            "inherited": sum(slot.inherited is not None for slot in slots),
            "locks": self._locks,
            "seconds": round(time.monotonic() - began, 3),
        }
        self._channel.send(loaded)
        while (message := self._channel.receive()) is not None:
            request, descriptors = message
            self._fork_worker(config, request, descriptors)
            if not self._has_forked:  # it takes longer than a fork
                self._has_forked = True
                let_go_of_files()
        return EXIT_STOPPED

    def _load(self) -> uvicorn.Config:
        options = self._nursery.options
        os.environ.update(dict.fromkeys(_ONE_THREAD, "1"), TOKENIZERS_PARALLELISM="false")
        os.environ["LOADONCE_WORKERS"] = str(options.workers)
        gc.disable()
        app = import_app(options.target, app_dir=options.app_dir, is_factory=options.is_factory)
        self._locks = stamps(lock_files(known_registries()))  # before they are read
        asyncio.run(_preload(known_registries()))
        _tell_what_each_loads()
        _wait_for_threads()
        for registry in known_registries():
            for model in registry:
                if model.slot.inherited is not None:
                    run_jobs_alone(model.slot.inherited.value)
        config = prepare(options, app)
        gc.collect()
        give_back_freed()
        gc.freeze()
        return config

    def _fork_worker(
        self, config: uvicorn.Config, request: Message, descriptors: list[int]
    ) -> None:
        """Fork twice: the worker's parent ends, so that it belongs to the supervisor."""
        # A worker that is told to stop this early stops as soon as it can.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        parent = os.fork()
        if parent == 0:
            if os.fork() != 0:
                os._exit(0)
            self._channel.close()
            _become(lambda: self._run_worker(config, request, descriptors[0]))
        os.close(descriptors[0])
        os.waitpid(parent, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _run_worker(self, config: uvicorn.Config, request: Message, descriptor: int) -> int:
        nursery = self._nursery
        birth = Birth(
            number=request["number"],
            restarts=request["restarts"],
            row=nursery.board[request["row"]],
            board=nursery.board,
            channel=Channel(socket.socket(fileno=descriptor)),
            supervisor=nursery.supervisor,
        )
        return run_worker(config, nursery.options, nursery.listener, birth)


async def _preload(known: Iterable[Registry]) -> None:
    for registry in known:
        await registry.preload()


def _tell_what_each_loads() -> None:
    reasons: dict[str, list[str]] = defaultdict(list)
    for registry in known_registries():
        for model in registry:
            if (reason := why_not_inherited(model.slot)) and reason != "a resource":
                reasons[reason].append(model.name)
    for reason, names in reasons.items():
        fields: dict[str, object] = {"models": ", ".join(names), "reason": reason}
        log_fields(logging.INFO, "each worker loads its own", fields)


def _wait_for_threads() -> None:
    """A fork takes one thread along; say which others there are, for whom that is a surprise."""
    deadline = time.monotonic() + _LAST_THREADS
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    for thread in others:
        thread.join(max(0.0, deadline - time.monotonic()))
    for name in [thread.name for thread in others if thread.is_alive()]:
        log_fields(logging.WARNING, "workers will not have this thread", {"thread": name})
        logger.warning("start it in the app's lifespan, which runs in each worker")
    if "polars" in sys.modules:  # pragma: no cover - no dependency of the tests
        logger.warning("polars is imported: its own threads do not survive a fork, calls may hang")
