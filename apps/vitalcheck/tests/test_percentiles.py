"""Where a value stands among other people's days, and which people those are."""

from __future__ import annotations

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitalcheck.features import Row
from vitalcheck.percentiles import Distribution, ReferenceDays, candidates, name_of, read_days
from vitalcheck.schemas import METRICS

LEVELS = np.array([0.0, 25.0, 50.0, 75.0, 100.0])


def days(*values: float, count: int = 100, people: int = 20) -> Distribution:
    return Distribution(np.array(values), LEVELS, count, people)


@pytest.mark.parametrize(
    ("value", "percentile"), [(-1, 0), (0, 0), (5, 12.5), (20, 50), (40, 100), (41, 100)]
)
def test_values_between_two_percentiles_are_interpolated(value: float, percentile: float) -> None:
    assert days(0, 10, 20, 30, 40).rank(value) == percentile


def test_a_value_many_share_stands_in_their_middle() -> None:
    assert days(0, 0, 0, 30, 40).rank(0) == 25


@given(st.lists(st.floats(0, 1e6), min_size=5, max_size=5), st.floats(-1e9, 1e9))
def test_ranks_lie_between_0_and_100(values: list[float], value: float) -> None:
    assert 0 <= days(*sorted(values)).rank(value) <= 100


@given(st.lists(st.floats(0, 1e6), min_size=5, max_size=5), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_larger_value_never_ranks_lower(values: list[float], one: float, other: float) -> None:
    found = days(*sorted(values))
    assert found.rank(min(one, other)) <= found.rank(max(one, other))


def test_groups_are_tried_from_the_narrowest() -> None:
    assert candidates("female", 29.9) == [
        ("female", "<30"), ("female", "all"), ("all", "<30"), ("all", "all"),
    ]  # fmt: skip
    assert candidates(None, 30) == [("all", ">=30"), ("all", "all")]
    assert candidates("male", None) == [("male", "all"), ("all", "all")]
    assert candidates(None, None) == [("all", "all")]


def test_groups_have_names_for_people() -> None:
    assert name_of(("female", "<30")) == "female, age <30"
    assert name_of(("male", "all")) == "male"
    assert name_of(("all", ">=30")) == "age >=30"
    assert name_of(("all", "all")) == "all"


def test_a_suppressed_group_falls_back_to_the_next_with_every_metric() -> None:
    reference = ReferenceDays(
        {
            ("female", "<30"): {"steps": days(0, 1, 2, 3, 4)},
            ("female", "all"): {
                "steps": days(0, 10, 20, 30, 40, count=50, people=12),
                "calories": days(0, 1, 2, 3, 4, count=40, people=15),
            },
            ("all", "all"): {},
        }
    )
    row: Row = {"sex": "female", "age": 25, "steps": 20, "calories": 2}
    narrow = reference.compare(row, ("steps",))
    assert narrow.group == "female, age <30"
    wide = reference.compare(row, ("steps", "calories"))
    assert wide.percentiles == {"steps": 50, "calories": 50}
    assert (wide.group, wide.days, wide.people) == ("female", 40, 12)


def table_of(*metrics: str) -> pyarrow.Table:
    rows = [
        {"sex": "all", "age_band": "all", "metric": metric, "percentile": point,
         "value": point * 10.0, "days": 700, "people": 30}
        for metric in metrics
        for point in (75, 25, 50)
    ]  # fmt: skip
    return pyarrow.Table.from_pylist(rows)


def test_the_table_is_read_in_the_order_of_its_percentiles() -> None:
    found = read_days(table_of(*METRICS))[("all", "all")]["steps"]
    assert found.values.tolist() == [250, 500, 750]
    assert (found.days, found.people) == (700, 30)
    assert found.rank(375) == 37.5


def test_a_table_without_a_metric_of_everyone_is_refused() -> None:
    with pytest.raises(ValueError, match="no percentiles of everyone for steps"):
        read_days(table_of(*set(METRICS) - {"steps"}))
