"""Health: workers that show no sign of life, and zygotes that fork none."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import signal
import time
from collections.abc import Iterable

from loadonce.observe.events import log_fields

from .child_processes import WorkerProcess, kill

# Not one that an app may have a handler for, nor one that writes a core.
_WHERE: signal.Signals | None = getattr(signal, "SIGRTMAX", None)
_STDERR = 2


def tell_where_when_asked() -> None:
    """In a worker: let `kill_silent` have it write where its threads are, the names of files and
    functions only, no values."""
    if _WHERE is not None:  # pragma: no branch - the tests run on Linux
        with contextlib.suppress(OSError, RuntimeError):  # it is asked in vain then
            faulthandler.register(_WHERE, file=_STDERR, all_threads=True, chain=False)


def kill_silent(workers: Iterable[WorkerProcess], timeout: float) -> None:
    """Kill those whose event loop has given no sign of life for so many seconds; they are replaced
    when they have ended. Asked at one look to write where they are, they are killed at the next."""
    for worker in workers:
        if worker.is_stuck:
            kill(worker.pid, signal.SIGKILL)
        elif worker.ready_at and (silence := worker.row.silence) > timeout:
            worker.is_stuck = True
            fields: dict[str, object] = {"worker": worker.number, "pid": worker.pid}
            fields |= {"seconds": round(silence, 1)} | worker.in_call()
            log_fields(logging.ERROR, "worker stuck, killing it", fields)
            if _WHERE is not None:  # pragma: no branch - the tests run on Linux
                kill(worker.pid, _WHERE)


def kill_idle_zygotes(workers: Iterable[WorkerProcess], timeout: float) -> None:
    """Kill those that were asked for a worker so many seconds ago and have not forked it: who waits
    for that would wait for good. Another generation takes over from its workers."""
    now = time.monotonic()
    for worker in workers:
        zygote, seconds = worker.zygote, now - worker.asked_at
        if worker.pid or seconds <= timeout or not zygote.is_alive or zygote.is_stuck:
            continue
        zygote.is_stuck = True
        fields = {"pid": zygote.pid, "seconds": round(seconds, 1)}
        log_fields(logging.ERROR, "the loading process forks no worker, killing it", fields)
        kill(zygote.pid, signal.SIGKILL)
