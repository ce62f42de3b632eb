"""Parquet tables, as pyarrow tables or pandas frames, never larger than they were allowed to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from loadonce.artifacts import Source
from loadonce.errors import ConfigurationError, InsufficientMemoryError
from loadonce.loaders.base import Loader

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_OFFSET_BYTES = 4  # of a string, or an index into a dictionary
_BATCH_ROWS = 65_536
_SMALL_BYTES = 64 * 2**20


def read(
    source: Source,
    *,
    as_: str = "pyarrow",
    columns: Sequence[str] | None = None,
    max_bytes: int = 2 * 2**30,
) -> pa.Table | pd.DataFrame:
    """A `pyarrow.Table`, or a `pandas.DataFrame` with `as_="pandas"`.

    Args:
        as_: "pyarrow" or "pandas".
        columns: all, or only those named.
        max_bytes: of the table in memory. A few bytes can declare 10^9 rows, or repeat one long
            string a million times; such a file is refused before the memory is taken.

    Raises:
        InsufficientMemoryError: the table would be larger than `max_bytes`.
    """
    if as_ not in ("pyarrow", "pandas"):
        raise ConfigurationError(f"as_ must be 'pyarrow' or 'pandas', not {as_!r}")
    table = _read_bounded(source, None if columns is None else list(columns), max_bytes)
    return table.to_pandas() if as_ == "pandas" else table


def estimate(source: Source) -> int:
    """What the file's own figures say all its columns take."""
    return _declared_bytes(_open(source).metadata, None)


def _read_bounded(source: Source, columns: list[str] | None, max_bytes: int) -> pa.Table:
    import pyarrow as pa

    file = _open(source)
    schema = file.schema_arrow
    wanted = schema.names if columns is None else columns
    _require_room(source, _declared_bytes(file.metadata, set(wanted)), max_bytes)
    texts = [name for name in wanted if _is_text(schema.field(name).type)]
    if _is_small(_open(source, texts), wanted, min(max_bytes, _SMALL_BYTES)):
        return _open(source).read(columns=wanted).select(wanted)
    file = _open(source, texts)  # a repeated string now comes once, with indices
    batches: list[pa.RecordBatch] = []
    total = 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
        total += sum(_decoded_bytes(batch.column(name), name in texts) for name in wanted)
        _require_room(source, total, max_bytes)
        batches.append(batch)
    selected = pa.schema([schema.field(name) for name in wanted], schema.metadata)
    read_as = pa.schema([file.schema_arrow.field(name) for name in wanted], schema.metadata)
    return pa.Table.from_batches(batches, read_as).cast(selected)


def _is_small(file: pq.ParquetFile, names: list[str], limit: int) -> bool:
    """Whether the columns stay below `limit` even if each text were as long as all texts of its
    batch together: without the exact figures, for which pyarrow.compute takes long to import."""
    total = 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=names):
        total += sum(_at_most(column) for column in batch.columns)
        if total > limit:
            return False
    return True


def _at_most(column: pa.Array) -> int:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        return len(column) * (int(column.dictionary.nbytes) + _OFFSET_BYTES)
    return int(column.nbytes)


def _open(source: Source, as_dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferReader(pa.py_buffer(source.data))
    return pq.ParquetFile(buffer, read_dictionary=list(as_dictionaries))


def _is_text(type_: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_string(type_)
        or pa.types.is_binary(type_)
        or pa.types.is_large_string(type_)
        or pa.types.is_large_binary(type_)
    )


def _declared_bytes(metadata: pq.FileMetaData, names: set[str] | None) -> int:
    """From the footer: per column the larger of what its values and its pages take, decoded."""
    total = 0
    for chunk in _chunks(metadata):
        if names is None or _is_below(chunk.path_in_schema, names):
            width = _WIDTHS.get(chunk.physical_type, _OFFSET_BYTES)
            total += max(chunk.num_values * width, chunk.total_uncompressed_size)
    return total


def _is_below(path: str, names: set[str]) -> bool:
    """Whether a leaf belongs to one of the columns; a column's own name may have dots too."""
    return any(path == name or path.startswith(f"{name}.") for name in names)


def _chunks(metadata: pq.FileMetaData) -> Iterator[pq.ColumnChunkMetaData]:
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for column in range(row_group.num_columns):
            yield row_group.column(column)


def _decoded_bytes(column: pa.Array, is_text: bool) -> int:
    """The size of a column, of texts when each index is replaced by the text it stands for."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if is_text:
        lengths = pc.call_function("binary_length", [column.dictionary]).cast(pa.int64())
        total = pc.call_function("sum", [lengths.take(column.indices)]).as_py()
        return int(total or 0) + _OFFSET_BYTES * len(column)
    if pa.types.is_dictionary(column.type):
        return int(column.indices.nbytes)  # every batch refers to the same dictionary
    return int(column.nbytes)


def _require_room(source: Source, needed: int, max_bytes: int) -> None:
    if needed > max_bytes:
        raise InsufficientMemoryError(
            "",
            "the table would not fit; reading stopped there",
            path=source.name,
            expected=f"at most {max_bytes} bytes in memory",
            found=f"at least {needed} bytes, from a file of {source.size}",
            hint="if that is right, pass options={'max_bytes': ...}; else look where it comes from",
        )


LOADER = Loader(
    name="parquet",
    read=read,
    suffixes=(".parquet", ".pq"),
    extra="parquet",
    modules=("pyarrow",),
    libraries=("pyarrow",),
    holds_gil=False,
    estimate=estimate,
)
