"""Hospital stays by department and by condition: two small tables, searched in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow

from .answers import Condition, Department

Found = TypeVar("Found", Department, Condition)


@dataclass(frozen=True, slots=True)
class HospitalStays:
    """Both tables, most stays first."""

    departments: Sequence[Department]
    conditions: Sequence[Condition]

    def by_department(self, text: str | None, limit: int) -> list[Department]:
        """Departments whose name holds `text`, in either case; all without one."""
        return _matching([(item.department, item) for item in self.departments], text)[:limit]

    def by_condition(self, text: str | None, limit: int) -> list[Condition]:
        """Condition groups whose name holds `text`, in either case; all without one."""
        return _matching([(item.condition, item) for item in self.conditions], text)[:limit]


def _matching(named: Sequence[tuple[str, Found]], text: str | None) -> list[Found]:
    wanted = (text or "").strip().casefold()
    return [item for name, item in named if wanted in name.casefold()]


def open_stays(tables: Mapping[str, pyarrow.Table]) -> Iterator[HospitalStays]:
    """Both tables as plain objects, made once."""
    departments = [Department(**row) for row in tables["departments"].to_pylist()]
    conditions = [Condition(**row) for row in tables["conditions"].to_pylist()]
    yield HospitalStays(
        sorted(departments, key=lambda item: -item.stays),
        sorted(conditions, key=lambda item: -item.stays),
    )
