"""Marks: which models are in a call, written where another process can read it after a crash."""

from __future__ import annotations

import time
from typing import Protocol


class Words(Protocol):
    """Whole numbers in memory, shared perhaps."""

    def __setitem__(self, index: int, value: int, /) -> None: ...


class Mark:
    """Where one model says that it is in a call. Belongs to the event loop's thread.

    Calls that run on the loop at once write `number` to `at_once[0]`, and 0 after it, themselves:
    two bytes cost 50 nanoseconds, calling a method twice would cost as much again.

    Args:
        number: of the model, 1 to 255.
        at_once: its first word is the number of the model that the loop is calling, 0 for none.
        began: for each number when the latest of the calls began that run, by the monotonic clock
            in nanoseconds; 0 for none.
    """

    __slots__ = ("_began", "at_once", "number")

    def __init__(self, number: int, at_once: Words, began: Words) -> None:
        self.number = number
        self.at_once = at_once
        self._began = began

    @classmethod
    def unread(cls) -> Mark:
        """One that nobody reads."""
        return cls(1, bytearray(1), [0, 0])

    def begin(self) -> None:
        """A call begins, in a thread or on the loop."""
        self._began[self.number] = time.monotonic_ns()

    def rest(self) -> None:
        """None runs any more."""
        self._began[self.number] = 0
