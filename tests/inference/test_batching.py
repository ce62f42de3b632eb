"""What runs together: sizes, waits, and the search for the item that fails."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadonce.errors import BatchResultError, ConfigurationError
from loadonce.inference.batching import (
    Split,
    affordable_size,
    as_results,
    bucket,
    checked_price,
    halves_pay,
    seconds_until_due,
)


def test_sizes_share_buckets_by_powers_of_two() -> None:
    sizes = {0: 0, 0.5: 0, 1: 0, 1.5: 1, 2: 1, 3: 2, 4: 2, 5: 3, 8: 3, 9: 4, 64: 6}
    assert {size: bucket(size) for size in sizes} == sizes


@pytest.mark.parametrize(
    ("size", "waited", "max_wait", "expected"),
    [(1, 0, 0, 0), (1, 0, 0.5, 0.5), (1, 0.2, 0.5, 0.3), (1, 0.7, 0.5, 0), (8, 0, 0.5, 0)],
)
def test_a_batch_is_due_when_it_is_full_or_has_waited(
    size: float, waited: float, max_wait: float, expected: float
) -> None:
    assert seconds_until_due(size, 8, waited, max_wait) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("curve", "left", "limit", "expected"),
    [
        ([1.0, 2.0, 4.0], math.inf, 64, 64),  # no deadline
        ([], 1.0, 64, 64),  # nothing known
        ([0.1, 0.2, 0.4, 0.8], 10.0, 8, 8),
        ([0.1, 0.2, 0.4, 0.8], 1.0, 8, 4),
        ([0.1, 0.2, 0.4, 0.8], 0.0, 8, 1),  # too late already: at least one
        ([0.1], 1.0, 64, 4),  # unknown sizes are proportional
        ([0.1, 0.0, 0.0, 0.2], 1.0, 64, 16),  # measured ones count
        ([0.1], 100.0, 50, 50),
        ([1.0], 1.0, 1, 1),
    ],
)
def test_the_size_follows_from_the_time_left_and_the_measured_costs(
    curve: list[float], left: float, limit: float, expected: float
) -> None:
    assert affordable_size(curve, left, limit) == expected


@given(
    st.lists(st.floats(0, 10), max_size=8),
    st.just(math.inf) | st.floats(-1, 100),
    st.integers(1, 500),
)
def test_the_size_lies_between_one_and_the_limit(
    curve: list[float], left: float, limit: int
) -> None:
    assert 1 <= affordable_size(curve, left, limit) <= limit


@pytest.mark.parametrize("price", [0, 2.5, True, Fraction(1, 2), 2**1000])
def test_an_item_costs_a_number(price: Any) -> None:
    found = checked_price("m", lambda _item: price, "")
    assert found == price
    assert type(found) is float


@pytest.mark.parametrize("price", [math.inf, math.nan, -1, 10**400, None, "7", 1j])
def test_what_no_item_can_cost_is_told_without_the_item(price: Any) -> None:
    class Cost:
        def __call__(self, item: Any) -> Any:
            return item

    with pytest.raises(ConfigurationError) as caught:
        checked_price("m", Cost(), price)
    assert str(caught.value) == (
        "model 'm': batch_cost 'Cost' must return a finite number of at least 0 for each item; "
        f"it returned another {type(price).__name__}"
    )
    assert caught.value.__context__ is None  # which could quote it


@pytest.mark.parametrize("returned", [[1], (1, 2, 3), []])
def test_another_number_of_results_is_an_error(returned: Any) -> None:
    with pytest.raises(BatchResultError, match=f"returned {len(returned)} results for 2"):
        as_results("m", "f", returned, 2)
    assert as_results("m", "f", returned, len(returned)) is returned


def test_what_cannot_be_iterated_is_no_result() -> None:
    with pytest.raises(BatchResultError, match="returned a float for 1 items"):
        as_results("m", "f", 0.5, 1)  # type: ignore[arg-type]
    assert as_results("m", "f", iter("ab"), 2) == ["a", "b"]


def try_all(count: int, bad: set[int]) -> tuple[list[Any], int]:
    split, calls = Split(count), 0
    while (part := split.next_part()) is not None:
        calls += 1
        if bad & set(part):
            split.failed(part, ValueError(min(bad & set(part))))
        else:
            split.succeeded(part, [10 * item for item in part])
    return split.outcomes, calls


@given(st.integers(2, 100).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_halving_finds_every_item_that_fails_and_no_other(case: tuple[int, set[int]]) -> None:
    count, bad = case
    outcomes, calls = try_all(count, bad)
    for item, outcome in enumerate(outcomes):
        if item in bad:
            assert isinstance(outcome, ValueError)
            assert outcome.args == (item,)
        else:
            assert outcome == 10 * item
    assert calls <= 2 * max(1, len(bad)) * math.ceil(math.log2(count))


def test_a_final_failure_is_not_halved() -> None:
    split, error = Split(8), ValueError()
    first = split.next_part()
    assert first == range(4)
    split.failed(first, error, is_final=True)
    second = split.next_part()
    assert second == range(4, 8)
    split.succeeded(second, [1, 2, 3, 4])
    assert split.next_part() is None
    assert split.outcomes == [error] * 4 + [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("whole", "half", "turn", "expected"),
    [
        (0.6, 0.45, 1.6, True),  # the loop is the slower one: the model's time disappears
        (15.0, 12.5, 6.4, False),  # a model that costs as much for half as for all
        (8.0, 4.0, 6.4, True),
        (0.6, 0.45, 1000.0, False),  # there was nothing to do meanwhile
        (0.0, 0.0, 1.0, False),  # nothing is known
    ],
)
def test_two_halves_pay_where_model_and_loop_would_wait_for_each_other(
    whole: float, half: float, turn: float, expected: bool
) -> None:
    assert halves_pay(whole, half, turn) is expected
