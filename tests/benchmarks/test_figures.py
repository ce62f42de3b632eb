"""Medians, ranges, percentiles and ratios."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Figure, figure, percentile, ratios


def test_a_figure_is_the_median_with_its_range() -> None:
    assert figure([3.0, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0, 3)
    assert figure([1.0, 2.0]) == Figure(1.5, 1.0, 2.0, 2)


def test_nothing_measured_gives_no_figure() -> None:
    assert figure([]) is None


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)])
def test_percentiles_take_the_nearest_rank(share: float, value: int) -> None:
    assert percentile([float(one) for one in range(100, 0, -1)], share) == value


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_one_of_the_values_and_enough_do_not_exceed_it(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-5 * len(values)


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_ratios_are_taken_within_rounds() -> None:
    """Round 2 was twice as slow for both; round 3 lacks one, round 4 has nothing to divide by."""
    above = {1: 40.0, 2: 20.0, 3: 99.0, 4: 1.0}
    assert ratios(above, {1: 10.0, 2: 5.0, 4: 0.0}) == [4.0, 4.0]
