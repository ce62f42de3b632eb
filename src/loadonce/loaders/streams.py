"""Pickle streams as joblib writes them: plain, or wrapped in one of its compressions."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, cast

from loadonce.artifacts import Source

# The first bytes of each container joblib can write; none of them can begin a pickle.
_MAGIC = {
    b"\x78": "zlib",
    b"\x1f\x8b": "gzip",
    b"BZ": "bz2",
    b"\xfd7zXZ": "lzma",
    b"\x5d\x00": "lzma",
    b"\x04\x22\x4d\x18": "lz4",
}
_OLD_JOBLIB = b"ZF"
_BUFFER_BYTES = 2**18
_PEEK_BYTES = 2**15


class UnsupportedStreamError(Exception):
    """A container this library does not open, with what to do about it."""


def compression(source: Source) -> str:
    """The name of the compression around the pickle, or ""."""
    head = bytes(source.data[:8])
    if head.startswith(_OLD_JOBLIB):
        raise UnsupportedStreamError(
            "written by joblib before 0.10; load and dump it with a new one"
        )
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")


def open_stream(source: Source) -> BinaryIO:
    """The pickle stream, decompressed while it is read. Lets other threads run between chunks."""
    name = compression(source)
    if not name:
        return source.open()
    if name == "lz4":
        raise UnsupportedStreamError("lz4 compression is not supported; dump it with zlib")
    return cast("BinaryIO", _Paced(io.BufferedReader(_decompressor(name, source), _BUFFER_BYTES)))


def _decompressor(name: str, source: Source) -> io.RawIOBase:
    import bz2
    import gzip
    import lzma

    file = source.open()
    if name == "gzip":
        opened: object = gzip.GzipFile(fileobj=file)
    elif name == "bz2":
        opened = bz2.BZ2File(file)
    elif name == "lzma":
        opened = lzma.LZMAFile(file)  # noqa: SIM115 - as long as its reader
    else:
        opened = _ZlibFile(file)
    return cast("io.RawIOBase", opened)


class _ZlibFile(io.RawIOBase):
    """Reads one zlib stream; what follows it is ignored, as after a plain pickle.

    joblib's own reader doubles the bytes after the stream until no memory is left.
    """

    def __init__(self, file: BinaryIO) -> None:
        import zlib

        self._file = file
        self._stream = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        found = b""
        while not found and not self._stream.eof:
            block = self._stream.unconsumed_tail or self._file.read(_BUFFER_BYTES)
            found = self._stream.decompress(block, len(buffer))
            if not block and not found:
                raise EOFError("the compressed data is cut short")
        buffer[: len(found)] = found
        return len(found)


class _Paced:
    """A buffered reader behind Python methods: see `loadonce.artifacts.reader` for why."""

    def __init__(self, buffered: io.BufferedReader) -> None:
        self._buffered = buffered
        self.read = buffered.read
        self.readline = buffered.readline

    def peek(self, size: int = 0) -> bytes:
        return self._buffered.peek(size)[:_PEEK_BYTES]

    def readinto(self, buffer: memoryview) -> int:
        return self._buffered.readinto(buffer)
