"""The verified bytes of one artifact, as whatever its loader likes best: buffer, file or path."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import BinaryIO, cast

from loadonce.artifacts.buffer import SealedBuffer
from loadonce.artifacts.entry import LockEntry
from loadonce.artifacts.reader import Reader


class Source(os.PathLike[str]):
    """The verified bytes of one artifact: one file, or several by name (`files`).

    All three views show the same memory, in which nothing can change any more: `data`, `open()`,
    and the path that `os.fspath` gives, for libraries that insist on one. For several files the
    path is that of a private directory. Close it when the object is loaded; what still looks into
    `data` keeps the memory alive.

    Attributes:
        entry: what the lock file says of it.
        files: several files by name; empty for one.
        read_seconds: how long reading and hashing took.
    """

    def __init__(
        self,
        entry: LockEntry,
        buffer: SealedBuffer | None = None,
        files: Mapping[str, Source] | None = None,
    ) -> None:
        self.entry = entry
        self.files: Mapping[str, Source] = MappingProxyType(dict(files or {}))
        self.read_seconds: float = sum(file.read_seconds for file in self.files.values())
        self._buffer = buffer
        self._directory = ""

    def __repr__(self) -> str:
        several = f", {len(self.files)} files" if self.files else ""
        return f"<Source {self.name} {self.sha256[:12]}, {self.size} bytes{several}>"

    def __str__(self) -> str:
        """The path, as with `pathlib`: some libraries call `str` on what they take for a path."""
        return os.fspath(self)

    @property
    def name(self) -> str:
        """The path relative to the root."""
        return self.entry.path

    @property
    def suffix(self) -> str:
        """The last suffix of the name, in lower case, with its dot; may be empty."""
        return PurePosixPath(self.entry.path).suffix.lower()

    @property
    def size(self) -> int:
        """In bytes; of all files together."""
        return self.entry.size

    @property
    def sha256(self) -> str:
        """The digest of the file; of several, that of their sorted "name:sha256" lines."""
        return self.entry.sha256

    @property
    def version(self) -> str:
        """The label clients see."""
        return self.entry.label

    @property
    def data(self) -> memoryview:
        """All bytes, read-only. Raises ValueError after `close`, and for several files."""
        return self._single().view

    def open(self) -> BinaryIO:
        """A new seekable file object at the start; lets other threads run between its chunks."""
        return cast("BinaryIO", Reader(self.data))

    def __fspath__(self) -> str:
        if self.files:
            return self._as_directory()
        return self._single().path

    def close(self) -> None:
        """Give back the memory and every descriptor. May be called again."""
        for file in self.files.values():
            file.close()
        if self._buffer is not None:
            self._buffer.close()
            self._buffer = None
        if self._directory:
            shutil.rmtree(self._directory)
            self._directory = ""

    def _single(self) -> SealedBuffer:
        if self.files:
            raise ValueError(f"'{self.name}' has several files: use .files, or os.fspath()")
        if self._buffer is None:
            raise ValueError(f"the source of '{self.name}' is closed")
        return self._buffer

    def _as_directory(self) -> str:
        if not self._directory:
            self._directory = tempfile.mkdtemp(prefix="loadonce-")  # 0700
            for name, file in self.files.items():
                link = Path(self._directory, name)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(os.fspath(file))
        return self._directory
