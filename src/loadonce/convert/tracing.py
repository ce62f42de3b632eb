"""From a threshold of a tree back to raw values: two neighbouring floats, one on each side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadonce.convert.answers import Original
from loadonce.convert.rows import Candidates, Rows, every_value
from loadonce.convert.trees import Grove, transformed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BISECTIONS = 64  # bits of a float64


@dataclass(frozen=True, slots=True)
class Turn:
    """Raw values of one feature around a threshold.

    Args:
        feature: whose values they are.
        left: the last that goes left, and, if there is one, the last that the trees see as a
            smaller number than that.
        right: the first that goes right; none where only missing values do.
    """

    feature: int
    left: tuple[object, ...]
    right: tuple[object, ...]


class Lens:
    """What the trees of a grove see of raw rows.

    Args:
        original: the whole estimator.
        grove: the trees, and what comes before them.
        candidates: values by feature that the estimator accepts.
        base: a row that it accepts.
    """

    def __init__(
        self,
        original: Original,
        grove: Grove,
        candidates: Sequence[Candidates],
        base: Sequence[object],
    ) -> None:
        self._original = original
        self._grove = grove
        self._base = base
        self.candidates = candidates
        self.views = self._views()
        self.columns_of = self._columns_of()

    def see(self, rows: Rows) -> NDArray[np.float64]:
        """The columns that the trees compare."""
        import numpy as np

        given = self._original.given(rows)
        seen = transformed(given, self._grove.before, self._grove.is_single)
        return seen.astype(np.float64)

    def view(self, feature: int, values: Sequence[object]) -> NDArray[np.float64]:
        """The columns, for the base row with each value of one feature."""
        array = self.candidates[feature].array(values)
        return self.see(Rows.repeated(self._base, len(values)).with_column(feature, array))

    def turns(self, thresholds: Mapping[int, Sequence[float]]) -> dict[tuple[int, float], Turn]:
        """For each column and threshold that some feature can pass: where it does."""
        found: dict[tuple[int, float], Turn] = {}
        for feature, columns in enumerate(self.columns_of):
            wanted = [
                (column, threshold)
                for column in columns
                for threshold in thresholds.get(column, ())
                if (column, threshold) not in found
            ]
            found.update(self._turns_of(feature, wanted))
        return found

    def _views(self) -> list[NDArray[np.float64]]:
        """By feature: what the trees see of each of its candidates."""
        import numpy as np

        seen = self.see(every_value(self.candidates, self._base))
        return np.split(seen, np.cumsum([len(each.all) for each in self.candidates])[:-1])

    def _columns_of(self) -> list[list[int]]:
        """By feature: the columns that change with it."""
        import numpy as np

        base = self.see(Rows.repeated(self._base, 1))
        changes = [~((view == base) | (np.isnan(view) & np.isnan(base))) for view in self.views]
        return [np.flatnonzero(change.any(axis=0)).tolist() for change in changes]

    def _turns_of(
        self, feature: int, wanted: Sequence[tuple[int, float]]
    ) -> dict[tuple[int, float], Turn]:
        import numpy as np

        columns = np.array([column for column, _ in wanted], dtype=np.int64)
        levels = np.array([threshold for _, threshold in wanted], dtype=np.float64)
        found: dict[tuple[int, float], Turn] = {}
        upper = self._sides(feature, columns, levels)
        lower = self._sides(feature, columns, self._below(levels))
        for key, turn, before in zip(wanted, upper, lower, strict=True):
            if turn is not None:
                left = (turn[0],) if before is None else (turn[0], before[0])
                found[key] = Turn(feature, left, (turn[1],))
            elif key[1] == float("inf"):
                found[key] = Turn(feature, self.candidates[feature].usual[:1], ())
        return found

    def _below(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """The number before the largest that goes left, as the trees count."""
        import numpy as np

        if not self._grove.is_single:
            return np.nextafter(levels, -np.inf)
        single = levels.astype(np.float32)
        lowest = np.float32("-inf")
        single = np.where(single > levels, np.nextafter(single, lowest), single)
        return np.nextafter(single, lowest).astype(np.float64)

    def _sides(
        self, feature: int, columns: NDArray[np.int64], levels: NDArray[np.float64]
    ) -> list[tuple[object, object] | None]:
        """For each level two values, seen at most at it and above it: as near as can be."""
        import numpy as np

        values = self.candidates[feature].array(self.candidates[feature].all)
        order = np.arange(len(values))
        if not self.candidates[feature].is_text:
            order = np.argsort(values)
            order = order[np.isfinite(values[order])]
        view = self.views[feature][order]
        pairs = [
            _straddling(view[:, column], level)
            for column, level in zip(columns, levels, strict=True)
        ]
        some = [number for number, pair in enumerate(pairs) if pair is not None]
        found: list[tuple[object, object] | None] = [None] * len(pairs)
        if not some:
            return found
        low, high = (values[order][[pairs[each][side] for each in some]] for side in (0, 1))  # type: ignore[index]
        if not self.candidates[feature].is_text:
            low, high = self._bisected(feature, low, high, columns[some], levels[some])
        for number, left, right in zip(some, low.tolist(), high.tolist(), strict=True):
            found[number] = (left, right)
        return found

    def _bisected(
        self,
        feature: int,
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        columns: NDArray[np.int64],
        levels: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move both sides together until they are neighbours; `low` goes left of the level."""
        import numpy as np

        left, right = _ordinals(low), _ordinals(high)
        rows = np.arange(len(levels))
        try:
            for _ in range(_BISECTIONS):
                middle = (left & right) + ((left ^ right) >> 1)  # their mean, without overflow
                is_left = self.view(feature, _floats(middle).tolist())[rows, columns] <= levels
                moves = middle != np.minimum(left, right)
                left = np.where(moves & is_left, middle, left)
                right = np.where(moves & ~is_left, middle, right)
        except Exception:  # a value between two that it accepts is one that it does not
            return low, high
        return _floats(left), _floats(right)


def _straddling(seen: NDArray[np.float64], level: float) -> tuple[int, int] | None:
    """Two neighbouring positions of which one is seen at most at the level, the other above it."""
    import numpy as np

    is_left, is_right = seen <= level, seen > level
    up = np.flatnonzero(is_left[:-1] & is_right[1:])
    if len(up):
        return int(up[0]), int(up[0]) + 1
    down = np.flatnonzero(is_right[:-1] & is_left[1:])
    return (int(down[0]) + 1, int(down[0])) if len(down) else None


def _ordinals(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Integers in the order of the floats, one for each."""
    import numpy as np

    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def _floats(ordinals: NDArray[np.int64]) -> NDArray[np.float64]:
    import numpy as np

    bits = np.where(ordinals < 0, np.int64(-(2**63)) - ordinals, ordinals)
    return np.ascontiguousarray(bits).view(np.float64)
