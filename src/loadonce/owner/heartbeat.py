"""A heartbeat: memory in which an owner, or a keeper, writes that it is alive, and what it has."""

from __future__ import annotations

import mmap
import struct
import time

_BEAT = 8  # bytes
_RELOADED = 8  # where it is told; the digest follows
_DIGEST = 9
_SIZE = 256


class Heartbeat:
    """Memory of one process at a time. It outlives that, so that others read who died."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)

    def beat(self) -> None:
        """It serves, now."""
        self._memory[:_BEAT] = struct.pack("d", time.monotonic())

    def clear(self) -> None:
        """A new owner has not served yet, and has nothing."""
        self._memory[:_BEAT] = bytes(_BEAT)
        self.digest = ""

    @property
    def last(self) -> float:
        """When it served, by `time.monotonic()`; 0 if it never did."""
        (last,) = struct.unpack("d", self._memory[:_BEAT])
        return float(last)

    @property
    def silence(self) -> float:
        """For how many seconds it has not served; 0 if it never did."""
        return time.monotonic() - self.last if self.last else 0.0

    def reload(self) -> None:
        """What was locked when the keeper was forked counts no more."""
        self._memory[_RELOADED] = 1

    @property
    def has_reloaded(self) -> bool:
        """Whether `reload` was called, for this owner or one before it."""
        return self._memory[_RELOADED] != 0

    @property
    def digest(self) -> str:
        """Of what it has, or is about to load; "" until that is known."""
        return self._memory[_DIGEST:].rstrip(b"\0").decode()

    @digest.setter
    def digest(self, digest: str) -> None:
        self._memory[_DIGEST:] = digest.encode().ljust(_SIZE - _DIGEST, b"\0")
