"""An owner's heartbeat: memory in which it writes that it is alive, and what it has."""

from __future__ import annotations

import mmap
import struct
import time

_BEAT = 8  # bytes
_SIZE = 256


class Heartbeat:
    """Memory of one owner at a time. It outlives the owner: its keeper reads who died."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)

    def beat(self) -> None:
        """The owner serves, now."""
        self._memory[:_BEAT] = struct.pack("d", time.monotonic())

    def clear(self) -> None:
        """A new owner has not served yet, and has nothing."""
        self._memory[:] = bytes(_SIZE)

    @property
    def last(self) -> float:
        """When it served, by `time.monotonic()`; 0 if it never did."""
        (last,) = struct.unpack("d", self._memory[:_BEAT])
        return float(last)

    @property
    def digest(self) -> str:
        """Of what it has, or is about to load; "" until that is known."""
        return self._memory[_BEAT:].rstrip(b"\0").decode()

    @digest.setter
    def digest(self, digest: str) -> None:
        self._memory[_BEAT:] = digest.encode().ljust(_SIZE - _BEAT, b"\0")
