"""Rows as callers have them -> the arrays that a converted model's graph takes, without pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loadonce.errors import InvalidRowsError
from loadonce.loaders.rowreader import WITHOUT_NAMES, MisfitError, RowReader, reader_of
from loadonce.loaders.signature import Signature
from loadonce.loaders.values import (
    NUMERIC,
    Array,
    FloatArray,
    float_column,
    floats,
    refuse,
    texts,
)


class InputArrays:
    """Turns rows into one float64 array (rows, features), or one array (rows, 1) for each feature.

    May be called from several threads at once.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._names = signature.names
        self._readers: dict[type, RowReader] = {}

    def __call__(self, rows: Any) -> dict[str, Array]:
        """The graph's inputs. Raises InvalidRowsError, which repeats no value."""
        if isinstance(rows, list | tuple):
            return self._of_rows(rows)
        if isinstance(rows, np.ndarray):
            return self._of_array(rows)
        return self._of_table(rows)

    def _of_rows(self, rows: Sequence[Any]) -> dict[str, Array]:
        numbers: list[object] = []
        words: list[object] = []
        for index, row in enumerate(rows):
            try:
                reader = self._readers.get(type(row)) or self._reader_of(type(row))
                numbers.extend(reader.numbers(row))
                words.extend(reader.texts(row))
            except MisfitError as error:
                raise InvalidRowsError(f"row {index}: {error}") from None
            except (KeyError, AttributeError):
                missing = _listed(self._readers[type(row)].missing_from(row))
                raise InvalidRowsError(f"row {index}: a {_kind(row)} without {missing}") from None
        count, signature = len(rows), self._signature
        return self._inputs(
            count,
            floats(numbers, signature.numbers, signature.refused)
            .reshape(count, len(signature.numbers))
            .T,
            texts(words, signature.texts, signature.refused).reshape(count, len(signature.texts)).T
            if words
            else None,
        )

    def _of_array(self, rows: Array) -> dict[str, Array]:
        if rows.ndim != 2 or rows.shape[1] != len(self._names):
            raise InvalidRowsError(
                f"an array must have the shape (rows, {len(self._names)}), not {rows.shape}"
            )
        if self._signature.texts or rows.dtype.kind not in NUMERIC:
            return self._of_columns({name: rows[:, at] for at, name in enumerate(self._names)})
        numbers = rows.astype(np.float64, copy=False)
        refuse(numbers, self._names, self._signature.refused)
        return self._inputs(len(rows), numbers.T, None)

    def _of_table(self, rows: Any) -> dict[str, Array]:
        """Of pyarrow, pandas or another library whose tables give a column by its name."""
        is_arrow = hasattr(rows, "column_names")
        names = rows.column_names if is_arrow else getattr(rows, "columns", None)
        if names is None:
            raise InvalidRowsError(
                "rows must be a list of dicts, objects or sequences, a 2-D array or a table, "
                f"not a {_kind(rows)}"
            )
        if not self._signature.is_named:
            raise InvalidRowsError(f"a table has names, but {WITHOUT_NAMES}")
        found = list(names)
        if wrong := [name for name in self._names if found.count(name) != 1]:
            raise InvalidRowsError(f"the table must have one column each of {_listed(wrong)}")
        column = _arrow_column if is_arrow else np.asarray
        return self._of_columns({name: column(rows[name]) for name in self._names})

    def _of_columns(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        signature, refused = self._signature, self._signature.refused
        numbers = [float_column(columns[name], name, refused) for name in signature.numbers]
        words = [texts(columns[name].tolist(), [name], refused) for name in signature.texts]
        count = len(columns[self._names[0]])
        return self._inputs(
            count,
            np.array(numbers, dtype=np.float64).reshape(len(numbers), count),
            np.array(words, dtype=object) if words else None,
        )

    def _inputs(self, count: int, numbers: FloatArray, words: Array | None) -> dict[str, Array]:
        """From numbers (features, count) and texts (features, count)."""
        if not count:
            raise InvalidRowsError("there must be at least one row")
        if not self._signature.is_named:
            return {"X": np.ascontiguousarray(numbers.T)}
        columns = np.ascontiguousarray(numbers)[:, :, np.newaxis]
        inputs: dict[str, Array] = dict(zip(self._signature.numbers, columns, strict=True))
        if words is not None:
            columns = np.ascontiguousarray(words)[:, :, np.newaxis]
            inputs.update(zip(self._signature.texts, columns, strict=True))
        return inputs

    def _reader_of(self, kind: type) -> RowReader:
        reader = self._readers[kind] = reader_of(kind, self._signature)
        return reader


def _arrow_column(column: Any) -> Array:
    """As floats where pyarrow has numbers, else as objects.

    Its own array of a dictionary with nulls has other values in their place (pyarrow 26).
    """
    from pyarrow import types

    if types.is_floating(column.type) or types.is_integer(column.type):
        return np.asarray(column, dtype=np.float64)
    return np.array(column.to_pylist(), dtype=object)


def _kind(value: object) -> str:
    return type(value).__name__


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
