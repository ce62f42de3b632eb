"""Compressed pickle streams are files like any other; unknown containers are refused."""

from __future__ import annotations

import io
from typing import Any

import joblib
import pytest

from loadonce.errors import LoaderFailedError
from loadonce.loaders import find, streams
from loadonce.loaders.streams import UnsupportedStreamError

VALUE = {"lines": ["a" * 1000] * 5000, "blob": bytes(range(256)) * 5000}


@pytest.mark.parametrize("method", ["", "zlib", "gzip", "bz2", "lzma", "xz"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_compressed_stream_reads_like_a_plain_one(shelf: Any, method: str, protocol: int) -> None:
    file = io.BytesIO()
    joblib.dump(VALUE, file, compress=(method, 1) if method else 0, protocol=protocol)
    shelf.put("a.pkl", file.getvalue())
    source = shelf.locked("a.pkl")
    assert streams.compression(source) == {"xz": "lzma"}.get(method, method)
    assert find(None, "a.pkl").load(source) == VALUE
    stream, plain = streams.open_stream(source), io.BytesIO()
    joblib.dump(VALUE, plain, protocol=protocol)
    assert stream.read() == plain.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"ZF0x1  ", "joblib before 0.10"), (b"\x04\x22\x4d\x18", "lz4 compression is not supported")],
)
def test_other_containers_are_refused(shelf: Any, content: bytes, words: str) -> None:
    shelf.put("a.pkl", content)
    source = shelf.vouched("a.pkl", "joblib")
    with pytest.raises(UnsupportedStreamError, match=words):
        streams.open_stream(source)
    with pytest.raises(LoaderFailedError, match=words):
        find(None, "a.pkl").load(source)


def test_what_follows_a_zlib_stream_is_ignored(shelf: Any) -> None:
    """joblib's own reader doubles it, without an end."""
    file = io.BytesIO()
    joblib.dump(VALUE, file, compress=("zlib", 1))
    shelf.put("a.pkl", file.getvalue() + b"more")
    source = shelf.locked("a.pkl")
    assert find(None, "a.pkl").load(source) == VALUE
    stream = streams.open_stream(source)
    while stream.read(2**20):
        pass
    assert stream.read(1) == b""


def test_a_zlib_stream_that_is_cut_short_is_refused(shelf: Any) -> None:
    file = io.BytesIO()
    joblib.dump(VALUE, file, compress=("zlib", 1))
    shelf.put("a.pkl", file.getvalue()[:-1000])
    with pytest.raises(LoaderFailedError, match="cut short"):
        find(None, "a.pkl").load(shelf.vouched("a.pkl", "joblib"))
