"""Parquet tables load whole, and never larger than allowed (A13)."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadonce.artifacts import LockFile, read_verified
from loadonce.errors import (
    ArtifactCorruptError,
    ConfigurationError,
    InsufficientMemoryError,
    LoaderFailedError,
)
from loadonce.loaders import find, lock_file

TABLE = pa.table(
    {
        "n": pa.array([1, 2, None], pa.int64()),
        "f": pa.array([1.5, None, 2.5], pa.float32()),
        "s": pa.array(["a", "b", "a"]),
        "b": pa.array([b"x", None, b"y"], pa.binary()),
        "large": pa.array(["p", "q", None], pa.large_string()),
        "large_b": pa.array([b"p", b"q", None], pa.large_binary()),
        "d": pa.array(["u", "v", "u"]).dictionary_encode(),
        "t": pa.array([datetime.datetime(2026, 11, 21)] * 3, pa.timestamp("us")),
        "bool": pa.array([True, None, False]),
        "list": pa.array([["a"], None, ["b", "c"]], pa.list_(pa.string())),
        "struct": pa.array([{"x": 1, "y": "z"}] * 3),
        "decimal": pa.array([None, 1, 2], pa.decimal128(20, 2)),
        "a.dotted": pa.array(["k", "l", "m"]),
    }
).replace_schema_metadata({"made by": "this test"})


def parquet(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_dictionary": False},
        {"row_group_size": 1},
        {"compression": "zstd"},
        {"version": "1.0"},
        {"data_page_version": "2.0"},
    ],
)
def test_a_table_comes_back_as_pyarrow_itself_reads_it(shelf: Any, options: Any) -> None:
    content = parquet(TABLE, **options)
    shelf.put("t.parquet", content)
    loaded = shelf.load("t.parquet")
    expected = pq.read_table(io.BytesIO(content))
    assert loaded.schema.equals(expected.schema, check_metadata=True)
    assert loaded.equals(expected)


def test_a_table_of_many_long_texts_comes_back_too(shelf: Any) -> None:
    """It might be large as far as a first look tells, and is measured text by text."""
    texts = [f"{number:01000}" for number in range(1000)]
    table = pa.table({"s": texts, "d": pa.array(texts).dictionary_encode(), "n": range(1000)})
    content = parquet(table)
    shelf.put("t.parquet", content)
    assert shelf.load("t.parquet").equals(pq.read_table(io.BytesIO(content)))
    shelf.load("t.parquet", max_bytes=3 * 10**6)
    with pytest.raises(InsufficientMemoryError):
        shelf.load("t.parquet", max_bytes=10**6)


def test_columns_can_be_chosen(shelf: Any) -> None:
    shelf.put("t.parquet", parquet(TABLE))
    loaded = shelf.load("t.parquet", columns=["s", "n"])
    assert loaded.column_names == ["s", "n"]
    assert loaded["s"].to_pylist() == ["a", "b", "a"]


def test_an_empty_table_keeps_its_schema(shelf: Any) -> None:
    shelf.put("t.parquet", parquet(TABLE.slice(0, 0)))
    assert shelf.load("t.parquet").schema == TABLE.schema


def test_frames_of_pandas_can_be_had(shelf: Any) -> None:
    shelf.put("t.parquet", parquet(TABLE.select(["n", "s"])))
    frame = shelf.load("t.parquet", as_="pandas")
    assert frame["s"].tolist() == ["a", "b", "a"]
    with pytest.raises(ConfigurationError, match="not 'polars'"):
        shelf.load("t.parquet", as_="polars")


def test_a_table_outlives_its_source(shelf: Any) -> None:
    content = parquet(TABLE, compression="none", use_dictionary=False)
    shelf.put("t.parquet", content)
    source = shelf.locked("t.parquet")
    loaded: Any = find(None, "t.parquet").load(source)
    source.close()
    assert loaded.equals(pq.read_table(io.BytesIO(content)))


class Peak:
    """How much more memory the process had at its highest since this was made, in bytes."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
        self.start = self._highest()

    def growth(self) -> int:
        return self._highest() - self.start

    def _highest(self) -> int:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])


def test_many_declared_rows_are_refused_without_the_memory(shelf: Any) -> None:
    """A column of one repeated number takes almost nothing in the file: here 120 kB for 240 MB."""
    chunk = pa.chunked_array([pa.array([7], pa.int64()).take(pa.array([0] * 10**6))] * 30)
    content = parquet(pa.table({"n": chunk}), row_group_size=3 * 10**7)
    assert len(content) < 150_000
    shelf.put("t.parquet", content)
    peak = Peak()
    with pytest.raises(InsufficientMemoryError, match="at most 100000000 bytes") as caught:
        shelf.load("t.parquet", max_bytes=10**8)
    assert "at least 240" in str(caught.value)
    assert "options={'max_bytes': ...}" in str(caught.value)
    assert peak.growth() < 30 * 2**20
    shelf.load("t.parquet")
    assert peak.growth() > 200 * 2**20  # the control


def test_a_dictionary_bomb_is_refused_without_the_memory(shelf: Any) -> None:
    """One long string, referred to 100,000 times: 100 kB in the file, 10 GB in memory."""
    bomb = pa.DictionaryArray.from_arrays(pa.array([0] * 10**5, pa.int32()), ["x" * 10**5])
    schema = pa.schema([("s", pa.string())])
    content = io.BytesIO()
    with pq.ParquetWriter(content, schema) as writer:
        for start in range(0, 10**5, 10**4):
            piece = bomb.slice(start, 10**4)
            writer.write_table(pa.table({"s": piece.cast(pa.string())}, schema=schema))
            del piece
    shelf.put("t.parquet", content.getvalue())
    assert len(content.getvalue()) < 10**6
    peak = Peak()
    with pytest.raises(InsufficientMemoryError):
        shelf.load("t.parquet")
    assert peak.growth() < 50 * 2**20


def test_a_flipped_page_is_caught_by_the_digest(shelf: Any) -> None:
    content = bytearray(parquet(TABLE))
    shelf.put("t.parquet", bytes(content))
    lock = LockFile({"t.parquet": lock_file(shelf.root, "t.parquet")})
    content[20] ^= 1
    shelf.put("t.parquet", bytes(content))
    with pytest.raises(ArtifactCorruptError):
        read_verified(shelf.root, "t.parquet", lock)


def test_estimates_come_from_the_footer(shelf: Any) -> None:
    table = pa.table({"n": pa.array([7] * 100_000, pa.int64())})
    shelf.put("t.parquet", parquet(table))
    loader, source = find(None, "t.parquet"), shelf.locked("t.parquet")
    assert source.size < 10_000
    assert loader.memory_estimate(source) == 800_000
    shelf.put("t.parquet", b"junk")
    assert loader.memory_estimate(shelf.locked("t.parquet")) == 8
    with pytest.raises(LoaderFailedError):
        shelf.load("t.parquet")
