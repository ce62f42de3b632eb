"""Columns of tables and arrays -> floats: numbers as they are, texts as their codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loadonce.errors import InvalidRowsError
from loadonce.loaders.codes import TextCodes
from loadonce.loaders.signature import Refused
from loadonce.loaders.values import Array, FloatArray, doubles, refuse

NUMERIC = frozenset("biuf")
"""The kinds of NumPy types that are numbers."""
_OBJECTS = frozenset("OU")
_LONG = 500
"""From here on it pays to let pyarrow find the different texts."""


def number_column(column: Any, name: str, refused: Refused) -> FloatArray:
    """A feature's column (rows,) as numbers. Raises InvalidRowsError."""
    array = _of_arrow(column) if _is_arrow(column) else np.asarray(column)
    if array.dtype.kind in NUMERIC:
        numbers = array.astype(np.float64, copy=False)
        refuse(numbers, [name], refused)
        return numbers
    if array.dtype.kind in _OBJECTS:
        return np.array(doubles(array.tolist(), [name], refused))
    raise InvalidRowsError(f"'{name}' must be numbers, not {array.dtype}")


def text_column(column: Any, codes: TextCodes) -> FloatArray:
    """A feature's column (rows,) as its texts' codes. Raises InvalidRowsError.

    Of pandas' categories, and of many texts that pyarrow has, each different one is looked up once.
    """
    dtype = getattr(column, "dtype", None)
    if getattr(dtype, "storage", None) == "pyarrow" and len(column) >= _LONG:
        return _of_arrow_texts(_as_arrow(column), codes)
    if _is_arrow(column):
        return _of_arrow_texts(column, codes)
    if type(dtype).__name__ == "CategoricalDtype":
        return _of_categories(column.cat.categories.tolist(), np.asarray(column.cat.codes), codes)
    return np.array(codes.of_all(np.asarray(column).tolist()))


def _as_arrow(column: Any) -> Any:
    """What pandas holds its texts in."""
    import pyarrow as pa

    return pa.array(column)


def _is_arrow(column: Any) -> bool:
    return hasattr(column, "dictionary_encode")


def _of_arrow(column: Any) -> Array:
    """As floats where pyarrow has numbers, else as objects.

    Its own array of a dictionary with nulls has other values in their place (pyarrow 26).
    """
    from pyarrow import types

    if types.is_floating(column.type) or types.is_integer(column.type):
        return np.asarray(column, dtype=np.float64)
    return np.array(column.to_pylist(), dtype=object)


def _of_arrow_texts(column: Any, codes: TextCodes) -> FloatArray:
    from pyarrow import types

    is_long = len(column) >= _LONG
    if is_long and (types.is_string(column.type) or types.is_large_string(column.type)):
        column = column.dictionary_encode()
    if not is_long or not types.is_dictionary(column.type):
        return np.array(codes.of_all(column.to_pylist()))
    if hasattr(column, "combine_chunks"):
        column = column.unify_dictionaries().combine_chunks()
    indices = np.asarray(column.indices.cast("int64").fill_null(-1))
    return _of_categories(column.dictionary.to_pylist(), indices, codes)


def _of_categories(known: Sequence[object], indices: Array, codes: TextCodes) -> FloatArray:
    """From the place of each row's text among the known; -1 is missing."""
    missing = [None] if (indices < 0).any() else []
    try:
        return np.array(codes.of_all([*known, *missing]))[indices]
    except InvalidRowsError:  # it may be none that is used; else it tells the row
        return np.array(codes.of_all([known[at] if at >= 0 else None for at in indices]))
