"""Rows as callers have them -> the matrix that a converted model's graph takes, without pandas."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from loadonce.errors import InvalidRowsError
from loadonce.loaders.codes import TextCodes
from loadonce.loaders.columns import NUMERIC, number_column, text_column
from loadonce.loaders.rowreader import WITHOUT_NAMES, MisfitError, RowReader, reader_of
from loadonce.loaders.signature import Signature
from loadonce.loaders.values import Array, FloatArray, doubles, refuse


class InputMatrix:
    """Turns rows into one float64 array (rows, features), in the order of training.

    Texts become codes. May be called from several threads at once.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._names = signature.names
        self._refused = signature.refused
        self._codes = {
            at: TextCodes(name, signature.texts[name], name not in signature.refused.missing)
            for at, name in enumerate(signature.names)
            if name in signature.texts
        }
        self._coders = tuple(self._codes.items())
        self._readers: dict[type, RowReader] = {}

    def __call__(self, rows: Any) -> FloatArray:
        """The graph's input. Raises InvalidRowsError, which repeats no value."""
        if isinstance(rows, list | tuple):
            numbers = self.numbers(rows)
            return np.ndarray((len(rows), len(self._names)), buffer=numbers)
        if isinstance(rows, np.ndarray):
            return self._of_array(rows)
        return self._of_table(rows)

    def of_columns(self, columns: Sequence[Any]) -> FloatArray:
        """From one column (rows,) for each feature, in the order of training."""
        if not len(columns[0]):
            raise _no_rows()
        matrix = np.empty((len(columns[0]), len(columns)))
        for at, column in enumerate(columns):
            if at in self._codes:
                matrix[:, at] = text_column(column, self._codes[at])
            else:
                matrix[:, at] = number_column(column, self._names[at], self._refused)
        return matrix

    def numbers(self, rows: Sequence[Any]) -> array[float]:
        """The matrix of a list of rows, row after row."""
        flat: list[object] = []
        for index, row in enumerate(rows):
            try:
                reader = self._readers.get(type(row)) or self._reader_of(type(row))
                flat.extend(reader.values(row))  # += would be NumPy's for an array
            except MisfitError as error:
                raise InvalidRowsError(f"row {index}: {error}") from None
            except (KeyError, AttributeError):
                missing = _listed(self._readers[type(row)].missing_from(row))
                raise InvalidRowsError(f"row {index}: a {_kind(row)} without {missing}") from None
        if not flat:
            raise _no_rows()
        self._encode(flat, len(rows))
        return doubles(flat, self._names, self._refused)

    def _encode(self, flat: list[object], count: int) -> None:
        """Put codes in place of the texts: of one row each by itself, which is quicker."""
        for at, codes in self._coders:
            if count == 1:
                flat[at] = codes.of(flat[at])
            else:
                places = slice(at, None, len(self._names))
                flat[places] = codes.of_all(flat[places])

    def _of_array(self, rows: Array) -> FloatArray:
        if rows.ndim != 2 or rows.shape[1] != len(self._names):
            raise InvalidRowsError(
                f"an array must have the shape (rows, {len(self._names)}), not {rows.shape}"
            )
        if self._codes or rows.dtype.kind not in NUMERIC:
            return self.of_columns(list(rows.T))
        if not len(rows):
            raise _no_rows()
        matrix = np.ascontiguousarray(rows, dtype=np.float64)
        refuse(matrix, self._names, self._refused)
        return matrix

    def _of_table(self, rows: Any) -> FloatArray:
        """Of pyarrow, pandas or another library whose tables give a column by its name."""
        names = getattr(rows, "column_names", getattr(rows, "columns", None))
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
        return self.of_columns([rows[name] for name in self._names])

    def _reader_of(self, kind: type) -> RowReader:
        reader = self._readers[kind] = reader_of(kind, self._signature)
        return reader


def _no_rows() -> InvalidRowsError:
    return InvalidRowsError("there must be at least one row")


def _kind(value: object) -> str:
    return type(value).__name__


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
