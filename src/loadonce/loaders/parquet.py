"""Parquet tables, as pyarrow tables or pandas frames."""

from __future__ import annotations

from collections.abc import Sequence

from loadonce.artifacts import Source
from loadonce.errors import ConfigurationError
from loadonce.loaders.base import Loader


def read(source: Source, *, as_: str = "pyarrow", columns: Sequence[str] | None = None) -> object:
    """A `pyarrow.Table`, or a `pandas.DataFrame` with `as_="pandas"`; all columns or those named."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if as_ not in ("pyarrow", "pandas"):
        raise ConfigurationError(f"as_ must be 'pyarrow' or 'pandas', not {as_!r}")
    wanted = None if columns is None else list(columns)
    table = pq.read_table(pa.BufferReader(pa.py_buffer(source.data)), columns=wanted)
    return table.to_pandas() if as_ == "pandas" else table


LOADER = Loader(
    name="parquet",
    read=read,
    suffixes=(".parquet", ".pq"),
    extra="parquet",
    modules=("pyarrow",),
    libraries=("pyarrow",),
    holds_gil=False,
)
