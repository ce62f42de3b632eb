"""Rows to compare: columns by feature, and which feature each row is there to probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows, column by column.

    Args:
        columns: one for each feature: float64 (missing is NaN), or objects (text; missing is None).
        probed: for each row the index of the feature it probes, or -1.
    """

    columns: tuple[NDArray[Any], ...]
    probed: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.probed)

    def take(self, indexes: NDArray[Any] | slice) -> Rows:
        return Rows(tuple(column[indexes] for column in self.columns), self.probed[indexes])

    @classmethod
    def together(cls, parts: Sequence[Rows]) -> Rows:
        """All rows of `parts`, one after the other."""
        import numpy as np

        columns = zip(*(part.columns for part in parts), strict=True)
        return cls(
            tuple(np.concatenate(each) for each in columns),
            np.concatenate([part.probed for part in parts]),
        )

    @classmethod
    def repeated(cls, values: Sequence[object], count: int) -> Rows:
        """The same row `count` times."""
        import numpy as np

        columns = tuple(
            np.full(count, value, dtype=np.float64 if isinstance(value, float) else object)
            for value in values
        )
        return cls(columns, np.full(count, -1, dtype=np.int64))

    def with_column(self, feature: int, values: NDArray[Any]) -> Rows:
        """The same rows with other values of one feature, which they now probe."""
        import numpy as np

        columns = tuple(
            values if index == feature else column for index, column in enumerate(self.columns)
        )
        return Rows(columns, np.full(len(self), feature, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Candidates:
    """Values that one feature may take in a row.

    Args:
        is_text: whether they are texts.
        usual: such as the training data may have had.
        special: missing, unknown, extreme; those that the original accepts.
    """

    is_text: bool
    usual: tuple[object, ...]
    special: tuple[object, ...] = ()

    @property
    def all(self) -> tuple[object, ...]:
        return self.usual + self.special

    def array(self, values: Sequence[object]) -> NDArray[Any]:
        import numpy as np

        return np.array(values, dtype=object if self.is_text else np.float64)


def sample(candidates: Sequence[Candidates], count: int, generator: np.random.Generator) -> Rows:
    """Rows of usual values; in two of three rows one feature has a special value, and probes it."""
    import numpy as np

    columns = [
        each.array(each.usual)[generator.integers(len(each.usual), size=count)]
        for each in candidates
    ]
    probed = np.full(count, -1, dtype=np.int64)
    able = [index for index, each in enumerate(candidates) if each.special]
    if able:
        for row in np.flatnonzero(np.arange(count) % 3):
            feature = able[generator.integers(len(able))]
            special = candidates[feature].special
            columns[feature][row] = special[generator.integers(len(special))]
            probed[row] = feature
    return Rows(tuple(columns), probed)


def every_value(candidates: Sequence[Candidates], base: Sequence[object]) -> Rows:
    """The base row with each value of each feature in turn."""
    parts = []
    for feature, each in enumerate(candidates):
        rows = Rows.repeated(base, len(each.all))
        parts.append(rows.with_column(feature, each.array(each.all)))
    return Rows.together(parts)
