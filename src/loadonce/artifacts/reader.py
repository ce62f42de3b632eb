"""A file object over bytes in memory that lets other threads run between its chunks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_COPY_BYTES = 2**20
_PEEK_BYTES = 2**15


class Reader(io.BufferedIOBase):
    """Reads a memoryview. Its methods are Python functions on purpose.

    The C unpickler holds the interpreter lock for as long as it finds bytes in its own buffer. Fed
    from a Python-level file it comes back every few ten kilobytes, and there the event loop's
    thread gets its turn: 1.5 million small dicts froze it for seconds when read from bytes.
    """

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._view)}[whence]
        if start + offset < 0:
            raise ValueError("seek before the beginning")
        self._position = start + offset
        return self._position

    def peek(self, size: int = 0, /) -> bytes:
        """Some bytes from here on without moving; at most 32 KiB, none only at the end."""
        return bytes(self._view[self._position : self._position + (size or 1)][:_PEEK_BYTES])

    def read(self, size: int | None = -1, /) -> bytes:
        end = len(self._view) if size is None or size < 0 else self._position + size
        data = bytes(self._view[self._position : end])
        self._position += len(data)
        return data

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(size)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` in pieces of 1 MiB, so that a copy of gigabytes does not hold the lock."""
        target = memoryview(buffer).cast("B")
        total = min(len(target), max(0, len(self._view) - self._position))
        for start in range(0, total, _COPY_BYTES):
            end = min(start + _COPY_BYTES, total)
            target[start:end] = self._view[self._position + start : self._position + end]
        self._position += total
        return total

    def readinto1(self, buffer: WriteableBuffer, /) -> int:
        return self.readinto(buffer)

    def readline(self, size: int | None = -1, /) -> bytes:
        line = bytearray()
        while True:
            piece = self.peek(_PEEK_BYTES)
            if size is not None and size >= 0:
                piece = piece[: size - len(line)]
            found = piece.find(b"\n") + 1
            line += piece[: found or None]
            self._position += found or len(piece)
            if found or not piece:
                return bytes(line)
