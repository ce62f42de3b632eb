"""The board: shared memory in which each worker writes how it is, for all to read."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from loadonce.inference.marking import Mark
from loadonce.system.linux import is_linux
from loadonce.system.page import Page

_BEAT, _CONNECTIONS, _ACCEPTS, _PID, _REQUESTS, _AT_ONCE = range(6)
_BEGAN = 8  # and as many more as models may have
_FIELDS = 256  # cache lines of its own, so that no worker waits for another's
_LINE = _FIELDS * 8
_MOST_MODELS = _FIELDS - _BEGAN - 1  # those beyond are not marked
_PAGE = 2**20  # bytes for one report, twice; what is not written to takes no memory

NAME = "loadonce-board"  # by which other programs find it


class Row:
    """What one worker says of itself; only that worker writes it while it lives.

    Single aligned words: no reader ever sees half of one, so nobody needs a lock.

    Attributes:
        page: for its reports. It outlives the worker, so that the next one goes on counting.
    """

    def __init__(self, number: int, memory: memoryview, page: Page) -> None:
        self.number = number
        self.page = page
        self._words = memory.cast("q")
        self._at_once = memory[8 * _AT_ONCE : 8 * _AT_ONCE + 1]

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

    @property
    def pid(self) -> int:
        """Whose row it is; 0 if nobody's."""
        return self._words[_PID]

    @pid.setter
    def pid(self, pid: int) -> None:
        self._words[_PID] = pid

    @property
    def requests(self) -> int:
        """How many requests it has answered, a second ago at most."""
        return self._words[_REQUESTS]

    @requests.setter
    def requests(self, count: int) -> None:
        self._words[_REQUESTS] = count

    def beat(self) -> None:
        """The event loop runs."""
        self._words[_BEAT] = time.monotonic_ns()

    @property
    def silence(self) -> float:
        """Seconds since the last beat."""
        return (time.monotonic_ns() - self._words[_BEAT]) / 1e9

    def mark(self, number: int) -> Mark:
        """Where the model of this number, 1 or more, says that it is in a call."""
        if number > _MOST_MODELS:
            return Mark.unread()
        return Mark(number, self._at_once, self._words[_BEGAN:])

    @property
    def in_call(self) -> list[int]:
        """The numbers of the models that are in a call, the latest call first."""
        began = self._words[_BEGAN:].tolist()
        numbers = sorted(filter(began.__getitem__, range(len(began))), key=lambda n: -began[n])
        at_once = self._at_once[0]
        first = [at_once] if at_once else []
        return first + [number for number in numbers if number != at_once]

    def clear(self) -> None:
        """Nobody's row any more; its page stays."""
        for index in range(_FIELDS):
            self._words[index] = 0


class Board:
    """Rows of shared memory; made before the processes that share it are started.

    On Linux it is a file without a place, which lives as long as a process has it open, and which
    other programs of the same user may open through /proc.

    Args:
        rows: how many.
        memory: of a board that exists; a new one by default.

    Attributes:
        info: what the server says of itself.
        descriptor: by which processes inherit it that are not forked; -1 unless `inheritable`.
    """

    descriptor = -1

    def __init__(self, rows: int, memory: mmap.mmap | None = None) -> None:
        if memory is None:
            memory = _new_memory(_size(rows))
        view = memoryview(memory)
        lines = view[(rows + 1) * _PAGE :]
        self.info, *pages = (Page(view[i * _PAGE : (i + 1) * _PAGE]) for i in range(rows + 1))
        self._rows = [
            Row(number, lines[number * _LINE : (number + 1) * _LINE], page)
            for number, page in enumerate(pages)
        ]

    @classmethod
    def inheritable(cls, rows: int) -> Self:
        """One whose descriptor every process inherits that this one starts."""
        descriptor = _new_file(_size(rows))
        os.set_inheritable(descriptor, True)
        board = cls(rows, mmap.mmap(descriptor, _size(rows)))
        board.descriptor = descriptor
        return board

    @classmethod
    def inherited(cls, descriptor: int) -> Self:
        """The board of the process that has started this one."""
        memory = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        os.close(descriptor)
        return cls(_rows(memory), memory)

    @classmethod
    def opened(cls, path: Path) -> Self:
        """The board that another process has open under this path in /proc.

        Raises:
            OSError: it has not, or not made it yet, or may not be asked.
        """
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise OSError("not made yet")
            memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        return cls(_rows(memory), memory)

    def __getitem__(self, number: int) -> Row:
        return self._rows[number]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)


def _size(rows: int) -> int:
    return (rows + 1) * _PAGE + rows * _LINE


def _rows(memory: mmap.mmap) -> int:
    return (len(memory) - _PAGE) // (_PAGE + _LINE)


def _new_file(size: int) -> int:
    """A descriptor of a file that has no name in any directory."""
    if is_linux():
        descriptor = os.memfd_create(NAME)
    else:
        import tempfile  # which a server on Linux need not have

        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


def _new_memory(size: int) -> mmap.mmap:
    descriptor = _new_file(size)
    try:
        return mmap.mmap(descriptor, size)  # which has it open for as long as it lives
    finally:
        os.close(descriptor)
