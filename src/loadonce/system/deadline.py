"""The last resort: a process that was told to end does end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Self


class Deadline:
    """Ends the process when its time is over, whatever the event loop is doing.

    Used as a context manager: leaving it calls the deadline off.

    Args:
        report: makes the line that is written to standard error first, given the seconds that are
            over; must take no locks, which a hung thread may hold.
        end: ends the process with this exit code; `os._exit` unless a test says otherwise.
    """

    def __init__(
        self, report: Callable[[float], str], end: Callable[[int], object] = os._exit
    ) -> None:
        self._report = report
        self._end = end
        # A queue whose put() may interrupt itself: signal handlers call arm().
        self._ends: SimpleQueue[tuple[float, float] | None] = SimpleQueue()
        # Started now: starting a thread takes locks that a signal handler must not wait for.
        self._thread = threading.Thread(target=self._watch, name="deadline", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ends.put(None)
        self._thread.join()

    def arm(self, seconds: float) -> None:
        """End the process after so many seconds; of several calls the earliest end counts."""
        self._ends.put((time.monotonic() + seconds, seconds))

    def _watch(self) -> None:
        end: tuple[float, float] | None = None
        while True:
            try:
                wait = None if end is None else max(0.0, end[0] - time.monotonic())
                news = self._ends.get(timeout=wait)
            except Empty:
                assert end is not None
                self._fire(end[1])
                return
            if news is None:
                return
            end = news if end is None else min(end, news)

    def _fire(self, seconds: float) -> None:
        try:
            os.write(2, self._report(seconds).encode() + b"\n")
        finally:
            self._end(1)
