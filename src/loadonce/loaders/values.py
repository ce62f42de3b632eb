"""Values as callers have them -> floats and texts; None and NaN are missing in both.

The quick way looks at nothing and succeeds for almost every row. Only when it fails is each value
looked at, to convert what is allowed (enums, missing values of pandas) or to say which feature of
which row is wrong. No message repeats a value.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from loadonce.errors import InvalidRowsError
from loadonce.loaders.signature import Refused

MISSING_TEXT = "\x00missing"
"""What a graph gets for a missing text."""

Array: TypeAlias = npt.NDArray[Any]
FloatArray: TypeAlias = npt.NDArray[np.float64]

NUMERIC = frozenset("biuf")
"""The kinds of NumPy types that are numbers."""
_OBJECTS = frozenset("OU")
_ONLY_TEXTS = {str}
_MISSING = "must not be missing"


def floats(values: Sequence[object], names: Sequence[str], refused: Refused) -> FloatArray:
    """The values of these features, row by row, as numbers (rows * features,)."""
    numbers = _quickly(values) or array(
        "d", [_float(value, at, names) for at, value in enumerate(values)]
    )
    found = np.array(numbers)
    if not math.isfinite(sum(numbers)):
        refuse(found, names, refused)
    return found


def _quickly(values: Sequence[Any]) -> array[float] | None:
    """As C sees them: whatever has a float, but texts. None where one value has not."""
    try:
        if None in values:
            values = [math.nan if value is None else value for value in values]
        return array("d", values)
    except Exception:  # an object can refuse to be a number in any way
        return None


def texts(values: Sequence[object], names: Sequence[str], refused: Refused) -> Array:
    """The values of these features, row by row, as an array of objects (rows * features,)."""
    if set(map(type, values)) != _ONLY_TEXTS:
        values = [_text(value, at, names, refused) for at, value in enumerate(values)]
    return np.array(values, dtype=object)


def float_column(column: Array, name: str, refused: Refused) -> FloatArray:
    """A feature's column (rows,) as numbers."""
    if column.dtype.kind in NUMERIC:
        numbers = column.astype(np.float64, copy=False)
        refuse(numbers, [name], refused)
        return numbers
    if column.dtype.kind in _OBJECTS:
        return floats(column.tolist(), [name], refused)
    raise InvalidRowsError(f"'{name}' must be numbers, not {column.dtype}")


def refuse(numbers: FloatArray, names: Sequence[str], refused: Refused) -> None:
    """Raise InvalidRowsError for what the original raised for.

    Args:
        numbers: row by row, of any shape.
        names: the features of a row.
        refused: by feature.
    """
    for is_odd, features, what in (
        (np.isinf, refused.infinite, "must be finite"),
        (np.isnan, refused.missing, _MISSING),
    ):
        if features and (odd := is_odd(numbers)).any():
            odd = odd.reshape(-1, len(names)) & [name in features for name in names]
            if odd.any():
                raise _wrong(int(np.flatnonzero(odd)[0]), names, what)


def _float(value: object, at: int, names: Sequence[str]) -> float:
    if isinstance(value, Enum):
        value = value.value
    if _is_missing(value):
        return math.nan
    if not isinstance(value, str | bytes | bytearray):
        try:
            return float(value)  # type: ignore[arg-type]
        except Exception:  # as above
            pass
    raise _wrong(at, names, f"must be a number, not a {type(value).__name__}")


def _text(value: object, at: int, names: Sequence[str], refused: Refused) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return str(value)
    if _is_missing(value) or (isinstance(value, float) and math.isnan(value)):
        if names[at % len(names)] in refused.missing:
            raise _wrong(at, names, _MISSING)
        return MISSING_TEXT
    raise _wrong(at, names, f"must be a text, not a {type(value).__name__}")


def _is_missing(value: object) -> bool:
    """None, or what pandas has for it."""
    return value is None or type(value).__name__ == "NAType"


def _wrong(at: int, names: Sequence[str], what: str) -> InvalidRowsError:
    row, feature = divmod(at, len(names))
    return InvalidRowsError(f"row {row}: '{names[feature]}' {what}")
