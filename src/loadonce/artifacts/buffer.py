"""Memory that holds one file's bytes and cannot change any more: a sealed memfd on Linux."""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Callable

_CHUNK_BYTES = 8 * 2**20


class SealedBuffer:
    """The bytes of one file, read once. On Linux they lie in a memfd sealed against every change.

    `view` is what is hashed and what is loaded; `path` leads to the same memory.
    """

    def __init__(self, view: memoryview, mapping: mmap.mmap | None = None, fd: int = -1) -> None:
        self.view = view
        self._mapping = mapping
        self._fd = fd
        self._temporary = ""

    @classmethod
    def read(cls, fd: int, size: int) -> SealedBuffer:
        """Read at most `size` bytes from `fd`, in one pass. A shorter file gives a shorter view."""
        return cls.fill(size, lambda target: os.readv(fd, [target]))

    @classmethod
    def fill(cls, size: int, read_into: Callable[[memoryview], int]) -> SealedBuffer:
        """Take `size` bytes from `read_into`, which returns how many it wrote; 0 ends it."""
        if size and hasattr(os, "memfd_create"):
            return cls._in_memfd(size, read_into)
        target = bytearray(size)
        done = _fill(memoryview(target), read_into)
        return cls(memoryview(target)[:done].toreadonly())

    @classmethod
    def _in_memfd(cls, size: int, read_into: Callable[[memoryview], int]) -> SealedBuffer:
        import fcntl

        fd = os.memfd_create("loadonce", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, size)
            writable = mmap.mmap(fd, size)
            target = memoryview(writable)
            done = _fill(target, read_into)
            target.release()
            writable.close()  # or the seal against writing would be refused
            seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            # Private: before Linux 6.7 a shared mapping of a write-sealed memfd is refused.
            mapping = mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        except BaseException:
            os.close(fd)
            raise
        return cls(memoryview(mapping)[:done], mapping, fd)

    @property
    def path(self) -> str:
        """A path that leads to exactly these bytes, for libraries that insist on one."""
        if self._fd >= 0:
            return f"/proc/self/fd/{self._fd}"
        if not self._temporary:
            fd, self._temporary = tempfile.mkstemp(prefix="loadonce-")  # 0600
            with open(fd, "wb") as file:
                file.write(self.view)
        return self._temporary

    def close(self) -> None:
        """Give the memory back, or leave it to the last object that still looks into it."""
        if self._fd >= 0:
            os.close(self._fd)
        if self._temporary:
            os.unlink(self._temporary)
        self._fd, self._temporary = -1, ""
        with contextlib.suppress(BufferError):
            self.view.release()
            if self._mapping is not None:
                self._mapping.close()

    def __del__(self) -> None:
        """A load that was cancelled may have forgotten it. A temporary file is left alone: after a
        fork it may still be the parent's."""
        if self._fd >= 0:
            os.close(self._fd)


def _fill(target: memoryview, read_into: Callable[[memoryview], int]) -> int:
    done = 0
    while done < len(target):
        count = read_into(target[done : done + _CHUNK_BYTES])
        if count == 0:
            break
        done += count
    return done
