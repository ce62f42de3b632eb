"""Shared memory of one direction of a connection: one side writes blocks, the other reads them.

The memory is a memfd: it has no name, and is gone when both processes have let go of it, however
they end. A block belongs to its reader until nothing there refers to it any more.
"""

from __future__ import annotations

import mmap
import os
from bisect import insort
from collections.abc import Callable
from typing import Any, Self

ARENA_BYTES = 4 * 2**30  # of addresses; what is not written to takes no memory
_GRAIN = 4096  # blocks begin on a page
_KEPT = 16 * 2**20  # bytes that stay when no block is in use


class Blocks:
    """Which parts of so many bytes are in use. The lowest that fits is given out first."""

    def __init__(self, size: int) -> None:
        self._free = [(0, size)]  # offset and length, in order, never side by side
        self._used: dict[int, int] = {}
        self.highest = 0  # byte ever used since all were free

    def __len__(self) -> int:
        return len(self._used)

    def reserve(self, size: int) -> int | None:
        """The offset of a block of at least so many bytes; None if there is no room."""
        needed = max(_GRAIN, -(-size // _GRAIN) * _GRAIN)
        for number, (offset, length) in enumerate(self._free):
            if length >= needed:
                rest = (offset + needed, length - needed)
                self._free[number : number + 1] = [rest] if rest[1] else []
                self._used[offset] = needed
                self.highest = max(self.highest, offset + needed)
                return offset
        return None

    def release(self, offset: int) -> None:
        """The block that begins there is free again."""
        insort(self._free, (offset, self._used.pop(offset)))
        merged: list[tuple[int, int]] = []
        for start, length in self._free:
            if merged and sum(merged[-1]) == start:
                merged[-1] = (merged[-1][0], merged[-1][1] + length)
            else:
                merged.append((start, length))
        self._free = merged


class Arena:
    """Either side's view of the memory.

    Args:
        descriptor: of the memfd; closed here.
        size: in bytes.

    Raises OSError if this process may have no more addresses.
    """

    def __init__(self, descriptor: int, size: int = ARENA_BYTES) -> None:
        try:
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._memory = memoryview(self._map)
        self._blocks = Blocks(size)

    @classmethod
    def pair(cls) -> tuple[Self, int]:
        """The writer's view, and a descriptor for the reader's."""
        descriptor = os.memfd_create("loadonce-calls", os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, ARENA_BYTES)
            return cls(os.dup(descriptor)), descriptor
        except BaseException:
            os.close(descriptor)
            raise

    def reserve(self, size: int) -> tuple[int, memoryview] | None:
        """A block to fill, and its offset; None if there is no room."""
        offset = self._blocks.reserve(size)
        return None if offset is None else (offset, self._memory[offset : offset + size])

    def release(self, offset: int) -> None:
        """The reader is done with a block."""
        self._blocks.release(offset)
        if not self._blocks and self._blocks.highest > _KEPT:
            self._map.madvise(mmap.MADV_REMOVE, _KEPT, self._blocks.highest - _KEPT)
            self._blocks.highest = 0

    def read(self, offset: int, size: int) -> memoryview:
        """A block, as long as it has not been given back."""
        return self._memory[offset : offset + size]

    def borrow(self, offset: int, size: int, done: Callable[[int], None]) -> Any:
        """A block as a NumPy array of bytes; `done` is told the offset when no array refers to it
        any more, in whatever thread that happens."""
        import numpy

        memory = numpy.frombuffer(self._memory, numpy.uint8, size, offset)
        return numpy.asarray(_Borrowed(memory, offset, done))


class _Borrowed:
    """What all arrays over one block refer to in the end."""

    def __init__(self, memory: Any, offset: int, done: Callable[[int], None]) -> None:
        self._memory = memory  # keeps the mapping
        self._offset = offset
        self._done = done
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        self._done(self._offset)
