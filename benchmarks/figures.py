"""Numbers from repeated rounds: medians, ranges, ratios within a round."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity over the rounds of a run."""

    median: float
    low: float
    high: float
    rounds: int


def figure(values: Iterable[float]) -> Figure | None:
    """Median and range; None where nothing was measured."""
    found = sorted(values)
    return Figure(median(found), found[0], found[-1], len(found)) if found else None


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of `values` do not exceed (nearest rank).

    Raises ValueError without values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(round(len(ordered) * share, 6)) - 1)]


def ratios(above: Mapping[int, float], below: Mapping[int, float]) -> list[float]:
    """`above / below` in each round that has both: the machine drifts between rounds."""
    return [above[key] / below[key] for key in sorted(above) if below.get(key)]
