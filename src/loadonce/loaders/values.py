"""Numbers as callers have them -> floats; None and NaN are missing.

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

Array: TypeAlias = npt.NDArray[Any]
FloatArray: TypeAlias = npt.NDArray[np.float64]


def doubles(values: Sequence[Any], names: Sequence[str], refused: Refused) -> array[float]:
    """The values of these features, row by row, as numbers (rows * features,)."""
    numbers = _quickly(values) or array(
        "d", [_float(value, at, names) for at, value in enumerate(values)]
    )
    if not math.isfinite(sum(numbers)):
        refuse(np.array(numbers), names, refused)
    return numbers


def _quickly(values: Sequence[Any]) -> array[float] | None:
    """As C sees them: whatever has a float, but texts. None where one value has not."""
    try:
        return array("d", values)
    except Exception:  # an object can refuse to be a number in any way
        pass
    try:
        return array("d", [math.nan if value is None else value for value in values])
    except Exception:  # as above
        return None


def refuse(numbers: FloatArray, names: Sequence[str], refused: Refused) -> None:
    """Raise InvalidRowsError for what the original raised for.

    Args:
        numbers: row by row, of any shape.
        names: the features of a row.
        refused: by feature.
    """
    for is_odd, features, what in (
        (np.isinf, refused.infinite, "must be finite"),
        (np.isnan, refused.missing, "must not be missing"),
    ):
        if features and (odd := is_odd(numbers)).any():
            odd = odd.reshape(-1, len(names)) & [name in features for name in names]
            if odd.any():
                raise _wrong(int(np.flatnonzero(odd)[0]), names, what)


def _float(value: object, at: int, names: Sequence[str]) -> float:
    if isinstance(value, Enum):
        value = value.value
    if value is None or type(value).__name__ == "NAType":  # what pandas has for it
        return math.nan
    if not isinstance(value, str | bytes | bytearray):
        try:
            return float(value)  # type: ignore[arg-type]
        except Exception:  # as above
            pass
    raise _wrong(at, names, f"must be a number, not a {type(value).__name__}")


def _wrong(at: int, names: Sequence[str], what: str) -> InvalidRowsError:
    row, feature = divmod(at, len(names))
    return InvalidRowsError(f"row {row}: '{names[feature]}' {what}")
