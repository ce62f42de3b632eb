"""Texts as numbers: what stands for each in the matrix that a converted model's graph takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import Enum

from loadonce.errors import InvalidRowsError

MISSING, UNKNOWN = -1.0, -2.0
"""The codes of a missing text, and of any text that the graph does not tell from others."""


class TextCodes(dict[object, float]):
    """The code of each known text of a feature: how many are known before it.

    A look-up knows all others, too: `codes[None]`, `codes["never seen"]`. It raises KeyError, or
    what the value raises when it is hashed, for what is no text; `of` and `of_all` say why.

    Args:
        name: the feature's.
        texts: the known ones.
        is_missing_taken: whether None and NaN have a code.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str, texts: Iterable[str], is_missing_taken: bool) -> None:
        super().__init__((text, float(code)) for code, text in enumerate(texts))
        if is_missing_taken:
            self[None] = MISSING
        self._name = name

    def __missing__(self, value: object) -> float:
        if isinstance(value, Enum):
            return self[value.value]
        if isinstance(value, str):
            return UNKNOWN
        if _is_missing(value) and None in self:
            return MISSING
        raise KeyError

    def of(self, value: object, row: int = 0) -> float:
        """The code of this row's value. Raises InvalidRowsError."""
        try:
            return self[value]
        except Exception:  # an object can refuse to be hashed in any way
            raise InvalidRowsError(f"row {row}: '{self._name}' {_misfit(value)}") from None

    def of_all(self, values: Sequence[object]) -> list[float]:
        """One code for each row. Raises InvalidRowsError that names the first row without one."""
        try:
            return list(map(self.__getitem__, values))
        except Exception:  # as above
            return [self.of(value, row) for row, value in enumerate(values)]


def _misfit(value: object) -> str:
    """Why the value has no code."""
    if isinstance(value, Enum):
        value = value.value
    if _is_missing(value):
        return "must not be missing"
    return f"must be a text, not a {type(value).__name__}"


def _is_missing(value: object) -> bool:
    """None, NaN, or what pandas has for it."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ == "NAType"
