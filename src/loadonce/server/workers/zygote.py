"""The zygote: imports the app and loads the models once, then forks workers that have them.

It serves nothing and runs no event loop when it forks.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from loadonce.inference.threads import run_in_thread
from loadonce.observe.events import ModelEvent, log_fields
from loadonce.observe.memory import available_bytes, let_go_of_files
from loadonce.server.app.ending import (
    EXIT_CANNOT_FORK,
    EXIT_STOPPED,
    end_process,
    failed,
    tell_failure,
)
from loadonce.server.app.logs import StartLines, format_line
from loadonce.server.board.board import Board
from loadonce.server.board.journal import known_registries
from loadonce.server.options import ServeOptions
from loadonce.system.channel import Channel, Message
from loadonce.system.deadline import Deadline
from loadonce.system.linux import die_with, outlive
from loadonce.system.signals import STOP_SIGNALS, Stopping, StopRequestedError

from .preloading import CannotForkError, Preloading
from .quarantine import Quarantine
from .worker import WorkerSpec, run_worker

logger = logging.getLogger("loadonce")


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What the processes of one server share from their beginning.

    Attributes:
        options: of the server.
        lines: hold back the log lines of single models until the start is over.
        listener: the socket they all accept from.
        board: where each writes how it is.
        supervisor: the process they belong to.
        quarantine: which versions must not serve, as it was when a process was forked.
    """

    options: ServeOptions
    lines: StartLines
    listener: socket.socket
    board: Board
    supervisor: int
    quarantine: Quarantine


def fork_zygote(
    context: ServerContext, forget: Callable[[], None], expected: Sequence[str]
) -> tuple[int, Channel]:
    """A new zygote: its process id, and the channel to it.

    Args:
        context: what it and its workers share with the caller.
        forget: closes, in the zygote, what is the caller's alone.
        expected: the models that others serve, so that its workers must from their start on.
    """
    ours, theirs = Channel.pair()
    process = os.fork()
    if process == 0:
        ours.close()
        forget()
        atexit._clear()
        become(lambda: _Zygote(context, theirs, expected).run())
    theirs.close()
    return process, ours


def become(run: Callable[[], int]) -> NoReturn:
    """End this process with what `run` returns."""
    code = 1
    try:
        code = run()
    except BaseException:
        logger.critical("a process of the server failed", exc_info=True)
    end_process(code)


class _Zygote:
    def __init__(self, context: ServerContext, channel: Channel, expected: Sequence[str]) -> None:
        self._context = context
        self._channel = channel
        self._stopping = Stopping(Deadline(_last_words), patience=0.0)
        self._preloading = Preloading(context.options, self._stopping, context.quarantine, expected)
        self._loading: frozenset[str] = frozenset()
        self._has_forked = False

    def run(self) -> int:
        """Load, then fork when asked, until the supervisor closes the channel."""
        os.setpgid(0, 0)  # what a terminal sends, the supervisor passes on
        die_with(self._context.supervisor)
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        try:
            self._load()
        except StopRequestedError:
            return EXIT_STOPPED
        except CannotForkError as error:
            fields: dict[str, object] = {"reason": str(error)}
            self._channel.send(failed(error))
            log_fields(logging.INFO, "one process does everything, it cannot be forked", fields)
            return EXIT_CANNOT_FORK
        except Exception as error:
            self._channel.send(failed(error))
            return tell_failure(error, self._context.options)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # the app may have another, and forks fail
        while (message := self._channel.receive()) is not None:
            request, descriptors = message
            self._fork_worker(request, descriptors)
            if not self._has_forked:  # it takes longer than a fork
                self._has_forked = True
                let_go_of_files()
        return EXIT_STOPPED

    def _load(self) -> None:
        began = time.monotonic()
        with self._stopping.deadline, self._stopping:
            self._preloading.load(self._make_room, self._tell_loading)
        self._preloading.settle()
        self._context.lines.started()
        slots = [model.slot for registry in known_registries() for model in registry]
        loaded = {
            "what": "loaded",
            "inherited": sum(slot.inherited is not None for slot in slots),
            "locks": self._preloading.locks,
            "keeper": self._preloading.keeper,
            "seconds": round(time.monotonic() - began, 3),
        }
        self._channel.send(loaded)

    def _tell_loading(self, event: ModelEvent) -> None:
        """Which models are being loaded, so that the supervisor can name them if this is killed."""
        before = self._loading
        is_one = event.what == "loading"
        self._loading = before | {event.model} if is_one else before - {event.model}
        if self._loading != before:
            self._channel.send({"what": "loading", "models": sorted(self._loading)})

    async def _make_room(self, needed: int) -> None:
        """Before loading objects of so many bytes: unless they fit, or never beside another
        generation, ask the supervisor, and wait for what it can do."""
        available = available_bytes()
        is_short = available is not None and needed > available
        if is_short or self._context.options.reload_policy == "memory":
            self._channel.send({"what": "room", "needed": needed, "available": available})
            await run_in_thread(self._channel.receive, "room")

    def _fork_worker(self, request: Message, descriptors: list[int]) -> None:
        """Fork twice: the worker's parent ends, so that it belongs to the supervisor."""
        # A worker that is told to stop this early stops as soon as it can.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        channel = Channel(socket.socket(fileno=descriptors[0]))
        parent = _fork_or_tell(channel)
        if parent == 0:
            between = os.getpid()
            if _fork_or_tell(channel) != 0:
                os._exit(0)
            outlive(between)
            self._channel.close()
            atexit._clear()  # what the app registered runs once, in the zygote
            become(lambda: self._run_worker(request, channel))
        channel.close()
        if parent is not None:
            os.waitpid(parent, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _run_worker(self, request: Message, channel: Channel) -> int:
        context = self._context
        self._preloading.environment.put_back()
        spec = WorkerSpec(
            number=request["number"],
            restarts=request["restarts"],
            row=context.board[request["row"]],
            board=context.board,
            channel=channel,
            supervisor=context.supervisor,
            quarantined=request["quarantined"],
            expected=request["expected"],
        )
        return run_worker(self._preloading.config, context.options, context.listener, spec)


def _fork_or_tell(channel: Channel) -> int | None:
    """Fork; None if the system has no process left, which the supervisor is told."""
    try:
        return os.fork()
    except OSError as error:
        log_fields(logging.ERROR, "a worker cannot be forked", {"reason": str(error)})
        channel.send({"what": "unforked"})
        return None


def _last_words(seconds: float) -> str:
    message = f"not stopped within {seconds:g} s, ending at once"
    return format_line(logging.CRITICAL, message, {})
