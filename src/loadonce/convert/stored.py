"""Rows that were given to compare: read from a file here, put into a model's columns there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadonce.convert.rows import Rows
from loadonce.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from loadonce.convert.model import Graph

Columns = Mapping[str, Sequence[object]]
"""Values by name; by position ("0", "1", ...) where the rows have no names."""


class StoredRowsError(Exception):
    """The stored rows do not fit the model; the message names columns, never values."""


def read_rows(path: Path) -> dict[str, list[object]]:
    """The columns of a .parquet, .csv or .json file. JSON: a list of objects, or of lists.

    Raises:
        ConfigurationError: another suffix, or not readable as what the suffix says.
        MissingExtraError: pyarrow is not installed.
        OSError: the file cannot be read.
    """
    readers = {".json": _read_json, ".csv": _read_arrow, ".parquet": _read_arrow}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigurationError(f"{path}: rows are read from .parquet, .csv or .json files")
    try:
        return reader(path)
    except (ValueError, TypeError, AttributeError) as exc:
        raise ConfigurationError(f"{path}: not readable as rows: {type(exc).__name__}") from exc


def _read_json(path: Path) -> dict[str, list[object]]:
    rows = json.loads(path.read_text())
    dicts = [
        row if isinstance(row, dict) else dict(zip(map(str, range(len(row))), row, strict=True))
        for row in rows
    ]
    names = dict.fromkeys(name for row in dicts for name in row)
    return {name: [row.get(name) for row in dicts] for name in names}


def _read_arrow(path: Path) -> dict[str, list[object]]:
    try:
        from pyarrow import csv, parquet
    except ImportError as exc:
        problem = "rows in this format need 'pyarrow', which is not installed"
        hint = "pip install 'loadonce[parquet]', or give them as .json"
        raise MissingExtraError("", problem, path=str(path), hint=hint) from exc
    is_csv = path.suffix.lower() == ".csv"
    table = csv.read_csv(path) if is_csv else parquet.read_table(path)
    return {name: table.column(name).to_pylist() for name in table.column_names}


def stored_rows(graph: Graph, columns: Columns | None, golden: Sequence[Sequence[object]]) -> Rows:
    """The golden example's rows, and the stored ones, as the features' types say."""
    import numpy as np

    names = [feature.name for feature in graph.features]
    columns = columns if columns is not None else {name: [] for name in names}
    by_position = {str(number): name for number, name in enumerate(names)}
    if set(columns) == set(by_position):
        columns = {by_position[position]: values for position, values in columns.items()}
    if missing := [name for name in names if name not in columns]:
        raise StoredRowsError(f"the stored rows have no column {', '.join(map(repr, missing))}")
    fitting = [row for row in golden if len(row) == len(names)]
    made = []
    for number, feature in enumerate(graph.features):
        values = [row[number] for row in fitting] + list(columns[feature.name])
        try:
            made.append(
                np.array([_text(value) for value in values], dtype=object)
                if feature.type == "text"
                else np.array([_number(value) for value in values], dtype=np.float64)
            )
        except (TypeError, ValueError):
            problem = f"the stored rows' column '{feature.name}' holds what is no number"
            raise StoredRowsError(problem) from None
    return Rows(tuple(made), np.full(len(made[0]), -1, dtype=np.int64))


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _text(value: object) -> str | None:
    return None if value is None or value != value else str(value)
