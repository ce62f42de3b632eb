"""A page: a few bytes in shared memory that one process replaces and others read."""

from __future__ import annotations

_LENGTH = 8  # bytes in which each half says how many follow


class Page:
    """Text of one writer at a time, for readers in other processes.

    It has two halves: the one that is not read is written, then they change places with the write
    of one aligned word. So a writer that is killed leaves what it had written before, and a reader
    needs no lock: it looks again if the halves changed places while it copied.

    Args:
        memory: shared; its beginning is aligned to words.
    """

    def __init__(self, memory: memoryview) -> None:
        self._turn = memory[:8].cast("q")
        half = (len(memory) - 8) // 2
        self._halves = (memory[8 : 8 + half], memory[8 + half : 8 + 2 * half])

    def write(self, text: bytes) -> bool:
        """Replace the text; False if it is too long, and nothing has changed then."""
        turn = self._turn[0] + 1
        half = self._halves[turn % 2]
        if len(text) + _LENGTH > len(half):
            return False
        half[:_LENGTH] = len(text).to_bytes(_LENGTH, "little")
        half[_LENGTH : _LENGTH + len(text)] = text
        self._turn[0] = turn
        return True

    def read(self) -> bytes:
        """The newest text; empty if nothing was written."""
        while True:
            turn = self._turn[0]
            half = self._halves[turn % 2]
            length = int.from_bytes(half[:_LENGTH], "little")
            text = bytes(half[_LENGTH : _LENGTH + length])
            if self._turn[0] == turn:
                return text
