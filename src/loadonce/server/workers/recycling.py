"""Recycling: a worker has answered enough, grown too big or hangs, and a new one takes its place.

The new one is forked first; the old one goes when that is ready.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadonce.observe.events import log_fields
from loadonce.observe.memory import memory_of
from loadonce.server.options import ServeOptions

from .child_processes import WorkerProcess

_SPREAD = 0.1  # of the limit, so that workers that started together are not replaced together


@dataclass(frozen=True, slots=True)
class Recycled:
    """A worker that is to be replaced, and why.

    Attributes:
        worker: that one.
        what: for the log.
        figure: what has reached the limit.
        level: of that line in the log.
    """

    worker: WorkerProcess
    what: str
    figure: dict[str, object]
    level: int = logging.INFO

    def tell(self) -> None:
        """Write it to the log."""
        fields = {"worker": self.worker.number, "pid": self.worker.pid} | self.figure
        log_fields(self.level, self.what, fields)


def request_limit(options: ServeOptions, chance: Callable[[], float] = random.random) -> int:
    """After how many requests a new worker is replaced; 0 for never."""
    most = options.max_worker_requests
    return most + int(most * _SPREAD * chance())


def hung(worker: WorkerProcess, model: str, seconds: float) -> Recycled:
    """A worker in which this model hangs, for so long: its event loop runs, so it can finish what
    its other models do."""
    figure: dict[str, object] = {"model": model, "seconds": seconds}
    return Recycled(worker, "model hangs, replacing its worker", figure, logging.ERROR)


def measure_new(worker: WorkerProcess, max_bytes: int) -> None:
    """Note how much memory it has as it becomes ready, if there is a limit; and warn if it is above
    that, for its successor would be so, too."""
    if not max_bytes:
        return
    worker.base_bytes = memory_of(worker.pid).proportional
    if worker.base_bytes > max_bytes:
        fields: dict[str, object] = {"worker": worker.number}
        fields |= {"bytes": worker.base_bytes, "limit": max_bytes}
        what = "a new worker is bigger than --max-worker-memory: it is not replaced for that"
        log_fields(logging.WARNING, what, fields)


def next_to_recycle(workers: Sequence[WorkerProcess], max_bytes: int) -> Recycled | None:
    """One of those that serve, if none is being replaced already.

    Args:
        workers: of the generation that serves.
        max_bytes: of memory; 0 for no limit.
    """
    if any(worker.is_leaving or worker.is_retiring for worker in workers):
        return None
    for worker in workers:
        requests = worker.row.requests
        if worker.ready_at and 0 < worker.request_limit <= requests:
            figure: dict[str, object] = {"requests": requests}
            return Recycled(worker, "worker has answered enough, replacing it", figure)
        if not (worker.ready_at and max_bytes) or worker.base_bytes > max_bytes:
            continue
        if (size := memory_of(worker.pid).proportional) > max_bytes:
            return Recycled(worker, "worker too big, replacing it", {"bytes": size})
    return None
