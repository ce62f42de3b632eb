"""Health: workers that show no sign of life."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterable

from loadonce.observe.events import log_fields

from .offspring import WorkerProcess, kill


def kill_silent(workers: Iterable[WorkerProcess], timeout: float) -> None:
    """Kill those whose event loop has given no sign of life for so many seconds; they are replaced
    when they have ended."""
    for worker in workers:
        silence = worker.row.silence
        if worker.ready_at and silence > timeout:
            fields: dict[str, object] = {"worker": worker.number, "pid": worker.pid}
            fields |= {"seconds": round(silence, 1)} | worker.in_call()
            log_fields(logging.ERROR, "worker stuck, killing it", fields)
            kill(worker.pid, signal.SIGKILL)
