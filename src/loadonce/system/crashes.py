"""What the deaths of processes mean: when the next one starts, and what it may not serve."""

from __future__ import annotations

import bisect
import signal
from collections import deque
from collections.abc import Iterable

WINDOW = 60.0  # seconds for which a crash counts
TOO_MANY = 5  # crashes of one version within that time
_FIRST_DELAY = 0.5  # seconds before the worker after the second crash
_LONGEST_DELAY = 30.0
_YOUNG = 1.0  # seconds; who is killed this early was no chance victim
_MOST = 20  # crashes remembered
_MOST_FORKS = 10  # within the window, of all workers together


class Crashes:
    """Remembers the crashes of the last minute. All times are given: it has no clock."""

    def __init__(self) -> None:
        self._known: deque[float] = deque(maxlen=_MOST)
        self._forks: list[float] = []  # the latest ones of those that follow a crash, or will

    def delay_after(self, now: float) -> float:
        """Note a crash, and say how many seconds the next worker waits: none after the first, then
        half a second, doubled with each crash within a minute; longer where so many workers crash
        that more than ten were forked in a minute."""
        self._known.append(now)
        count = sum(now - time < WINDOW for time in self._known)
        delay = min(_FIRST_DELAY * 2.0 ** (count - 2), _LONGEST_DELAY) if count > 1 else 0.0
        fork = now + delay
        if len(self._forks) == _MOST_FORKS:
            fork = max(fork, self._forks.pop(0) + WINDOW)
        bisect.insort(self._forks, fork)
        return fork - now


class Culprits:
    """Which versions of one model may not be served any more, by their digests. All times are
    given: it has no clock.

    Args:
        known: those that may not from the beginning.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self.known = set(known)
        self._crashes: deque[tuple[float, str]] = deque()

    def judge(self, now: float, digest: str) -> bool:
        """Note a crash of the process that had this version; whether it may be served no more
        from now on."""
        self._crashes.append((now, digest))
        while now - self._crashes[0][0] >= WINDOW:
            self._crashes.popleft()
        count = sum(each == digest for _when, each in self._crashes)
        if count < TOO_MANY or digest in self.known:
            return False
        self.known.add(digest)
        return True


def is_crash(status: int, age: float) -> bool:
    """Whether a worker's end says something about the app, not about who killed it.

    Args:
        status: as `os.waitstatus_to_exitcode` gives it.
        age: seconds it had served.
    """
    return status != -signal.SIGKILL or age < _YOUNG


def cause_of(status: int) -> str:
    """The end of a process in a few words."""
    if status >= 0:
        return f"exit code {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
