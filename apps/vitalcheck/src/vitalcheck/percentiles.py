"""Other people's days: the reference table as arrays, and where a value stands among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow

from .features import FloatArray, Row
from .schemas import METRICS

ALL: Final = "all"
BANDS: Final = ((0, 30, "<30"), (30, 200, ">=30"))
"""Age bands: from (inclusive), to (exclusive), name."""

_COLUMNS: Final = ("sex", "age_band", "metric", "percentile", "value", "days", "people")

Group: TypeAlias = tuple[str, str]
"""Sex and age band; "all" for either."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """One metric of one group: `values` at the percentiles `levels` (both ascending), and how many
    days of how many people they come from."""

    values: FloatArray
    levels: FloatArray
    days: int
    people: int

    def rank(self, value: float) -> float:
        """The percentile, 0..100, at which `value` stands; the middle where several share it."""
        first = int(np.searchsorted(self.values, value, side="left"))
        after = int(np.searchsorted(self.values, value, side="right"))
        if first < after:
            return float(self.levels[first] + self.levels[after - 1]) / 2
        return float(np.interp(value, self.values, self.levels, left=0.0, right=100.0))


@dataclass(frozen=True, slots=True)
class Standing:
    """Percentiles by metric, and the group they refer to."""

    percentiles: Mapping[str, float]
    group: str
    days: int
    people: int


@dataclass(frozen=True, slots=True)
class ReferenceDays:
    """Every distribution there is, by group and metric; small groups are not among them."""

    by_group: Mapping[Group, Mapping[str, Distribution]]

    def compare(self, row: Row, metrics: tuple[str, ...]) -> Standing:
        """Where the row's `metrics` stand in the narrowest group that has all of them."""
        group = next(
            group
            for group in candidates(row.get("sex"), row.get("age"))
            if all(metric in self.by_group.get(group, {}) for metric in metrics)
        )
        found = {metric: self.by_group[group][metric] for metric in metrics}
        return Standing(
            {metric: each.rank(float(row[metric] or 0)) for metric, each in found.items()},
            name_of(group),
            min(each.days for each in found.values()),
            min(each.people for each in found.values()),
        )


def candidates(sex: object, age: object) -> list[Group]:
    """The groups to try, narrowest first: sex and band, sex, band, all."""
    band = next(
        (name for low, high, name in BANDS if isinstance(age, int | float) and low <= age < high),
        ALL,
    )
    named = str(sex) if sex is not None else ALL
    return list(dict.fromkeys([(named, band), (named, ALL), (ALL, band), (ALL, ALL)]))


def name_of(group: Group) -> str:
    """A group for people: "female, age <30", "male", "age >=30" or "all"."""
    sex, band = group
    parts = [sex if sex != ALL else "", f"age {band}" if band != ALL else ""]
    return ", ".join(part for part in parts if part) or ALL


def open_days(table: pyarrow.Table) -> Iterator[ReferenceDays]:
    """The reference table as arrays, made once."""
    yield ReferenceDays(read_days(table))


def read_days(table: pyarrow.Table) -> dict[Group, dict[str, Distribution]]:
    """One distribution for each group and metric of a table with the columns sex, age_band, metric,
    percentile, value, days, people.

    Raises ValueError where everyone together lacks a metric: then nothing could be compared.
    """
    columns = {name: table[name].to_pylist() for name in _COLUMNS}
    points: dict[tuple[Group, str], list[tuple[Any, ...]]] = {}
    for sex, band, metric, *point in zip(*columns.values(), strict=True):
        points.setdefault(((sex, band), metric), []).append(tuple(point))
    found: dict[Group, dict[str, Distribution]] = {}
    for (group, metric), rows in points.items():
        levels, values, days, people = zip(*sorted(rows), strict=True)
        found.setdefault(group, {})[metric] = Distribution(
            np.array(values, dtype=np.float64),
            np.array(levels, dtype=np.float64),
            days[0],
            people[0],
        )
    if missing := set(METRICS) - set(found.get((ALL, ALL), ())):
        raise ValueError(f"no percentiles of everyone for {', '.join(sorted(missing))}")
    return found
