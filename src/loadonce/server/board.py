"""The board: shared memory in which each worker writes how it is, for all to read."""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterator

_BEAT, _CONNECTIONS, _ACCEPTS = range(3)
_FIELDS = 8  # a cache line each, so that no worker waits for another's


class Row:
    """What one worker says of itself; only that worker writes it while it lives.

    Single aligned words: no reader ever sees half of one, so nobody needs a lock.
    """

    def __init__(self, number: int, words: memoryview[int]) -> None:
        self.number = number
        self._words = words

    @property
    def connections(self) -> int:
        """How many connections it has accepted that are still open."""
        return self._words[_CONNECTIONS]

    @connections.setter
    def connections(self, count: int) -> None:
        self._words[_CONNECTIONS] = count

    @property
    def accepts(self) -> bool:
        """Whether it takes new connections."""
        return bool(self._words[_ACCEPTS])

    @accepts.setter
    def accepts(self, is_accepting: bool) -> None:
        self._words[_ACCEPTS] = is_accepting

    def beat(self) -> None:
        """The event loop runs."""
        self._words[_BEAT] = time.monotonic_ns()

    @property
    def silence(self) -> float:
        """Seconds since the last beat."""
        return (time.monotonic_ns() - self._words[_BEAT]) / 1e9

    def clear(self) -> None:
        """Nobody's row any more."""
        for index in range(_FIELDS):
            self._words[index] = 0


class Board:
    """Rows of shared memory; made before the processes that share it are forked."""

    def __init__(self, rows: int) -> None:
        memory = mmap.mmap(-1, rows * _FIELDS * 8)
        words = memoryview(memory).cast("q")
        self._rows = [
            Row(number, words[number * _FIELDS : (number + 1) * _FIELDS]) for number in range(rows)
        ]

    def __getitem__(self, number: int) -> Row:
        return self._rows[number]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)
