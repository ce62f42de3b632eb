"""Shapley values against brute force, and their promises."""

from __future__ import annotations

from itertools import permutations as all_orders

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitalcheck.features import FloatArray
from vitalcheck.shapley import (
    EXACT_DIFFERING,
    PAIRS,
    Case,
    all_coalitions,
    explain,
    rows_needed,
    sampled_coalitions,
)


class Wiggly:
    """A prediction with interactions of every order; counts what it was asked."""

    def __init__(self, features: int, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.linear = random.normal(size=features)
        self.pairs = random.normal(size=(features, features)) / features
        self.calls: list[int] = []

    def __call__(self, rows: FloatArray) -> FloatArray:
        self.calls.append(len(rows))
        rows = np.nan_to_num(rows, nan=-3.0)
        score = rows @ self.linear + ((rows @ self.pairs) * rows).sum(axis=1)
        return np.asarray(1 / (1 + np.exp(-score)) + 0.1 * np.sin(rows.prod(axis=1)))


def brute_force(predict: Wiggly, row: FloatArray, reference: FloatArray) -> FloatArray:
    """The definition: what each feature adds, averaged over every order."""
    effects, orders = np.zeros(len(row)), list(all_orders(range(len(row))))
    for order in orders:
        mixed = reference.copy()
        before = predict(mixed[None])[0]
        for feature in order:
            mixed[feature] = row[feature]
            after = predict(mixed[None])[0]
            effects[feature] += after - before
            before = after
    return effects / len(orders)


@pytest.mark.parametrize("features", [1, 2, 3, 5, 6])
def test_exact_values_are_the_mean_over_all_orders(features: int) -> None:
    predict = Wiggly(features)
    random = np.random.default_rng(1)
    row, reference = random.normal(size=features), random.normal(size=features)
    (outcome,) = explain(predict, [Case(row, reference)])
    assert outcome.effects is not None
    np.testing.assert_allclose(outcome.effects, brute_force(predict, row, reference), atol=1e-12)
    assert outcome.prediction == predict(row[None])[0]
    assert outcome.baseline == predict(reference[None])[0]


@settings(max_examples=40, deadline=None)
@given(features=st.integers(1, 34), seed=st.integers(0, 2**32 - 1), equal=st.floats(0, 1))
def test_effects_add_up_to_the_change_and_are_zero_where_nothing_differs(
    features: int, seed: int, equal: float
) -> None:
    random = np.random.default_rng(seed)
    row, reference = random.normal(size=features), random.normal(size=features)
    row[random.random(features) < 0.1] = np.nan
    same = random.random(features) < equal
    row[same] = reference[same]
    (outcome,) = explain(Wiggly(features, seed), [Case(row, reference)])
    assert outcome.effects is not None
    assert outcome.baseline is not None
    assert abs(outcome.effects.sum() - (outcome.prediction - outcome.baseline)) < 1e-9
    assert not outcome.effects[same].any()


def test_missing_in_both_rows_counts_as_equal() -> None:
    row, reference = np.array([np.nan, 1.0]), np.array([np.nan, 2.0])
    predict = Wiggly(2)
    (outcome,) = explain(predict, [Case(row, reference)])
    assert predict.calls == [2]
    assert outcome.effects is not None
    assert outcome.effects[0] == 0.0


def test_a_case_equal_to_the_reference_asks_for_one_row() -> None:
    predict = Wiggly(30)
    (outcome,) = explain(predict, [Case(np.ones(30), np.ones(30))])
    assert predict.calls == [1]
    assert outcome.prediction == outcome.baseline
    assert outcome.effects is not None
    assert not outcome.effects.any()


def test_wide_models_with_few_differences_are_exact() -> None:
    row, reference = np.zeros(30), np.zeros(30)
    row[:EXACT_DIFFERING] = np.linspace(-1, 1, EXACT_DIFFERING)
    predict = Wiggly(30)
    explain(predict, [Case(row, reference)])
    assert predict.calls == [2**EXACT_DIFFERING]


def test_sampled_values_are_near_the_exact_ones_and_always_the_same() -> None:
    random = np.random.default_rng(5)
    wide, narrow = Wiggly(14), Wiggly(13)
    narrow.linear, narrow.pairs = wide.linear[:13], wide.pairs[:13, :13]
    row, reference = random.normal(size=14), random.normal(size=14) / 3
    row[13] = reference[13] = 0.0

    def additive(rows: FloatArray) -> FloatArray:
        return np.asarray(1 / (1 + np.exp(-rows @ wide.linear)))

    (sampled,) = explain(additive, [Case(row, reference)])
    wide.linear = wide.linear[:13]
    (exact,) = explain(additive, [Case(row[:13], reference[:13])])
    assert sampled.effects is not None
    assert exact.effects is not None
    np.testing.assert_allclose(sampled.effects[:13], exact.effects, atol=0.04)
    wide.linear = np.append(wide.linear, 0.0)
    (again,) = explain(additive, [Case(row, reference)])
    assert again.effects is not None
    assert again.effects.tolist() == sampled.effects.tolist()


@pytest.mark.parametrize(("features", "same"), [(13, 0), (13, 5), (30, 0), (30, 20), (4, 4)])
def test_the_number_of_predictions_is_known_before(features: int, same: int) -> None:
    row, reference = np.ones(features), np.zeros(features)
    row[:same] = 0
    for case in (Case(row, reference), Case(row)):
        predict = Wiggly(features)
        explain(predict, [case])
        assert predict.calls == [rows_needed(case)]


def test_cases_are_predicted_together_and_answered_in_order() -> None:
    predict = Wiggly(4)
    random = np.random.default_rng(2)
    rows, reference = random.normal(size=(3, 4)), np.zeros(4)
    together = explain(predict, [Case(rows[0], reference), Case(rows[1]), Case(rows[2], reference)])
    assert predict.calls == [16 + 1 + 16]
    for row, outcome in zip(rows, together, strict=True):
        assert outcome.prediction == pytest.approx(predict(row[None])[0])
    assert together[1].baseline is None
    assert together[1].effects is None


def test_many_cases_are_predicted_in_bounded_pieces() -> None:
    predict = Wiggly(13)
    cases = [Case(np.full(13, float(number)), np.zeros(13)) for number in range(1, 5)]
    explain(predict, cases)
    assert predict.calls == [16_384, 16_384]


def test_coalitions_start_empty_and_end_full() -> None:
    for masks in (all_coalitions(4), sampled_coalitions(12)):
        assert not masks[0].any()
        assert masks[-1].all()
    assert sampled_coalitions(12).shape == (2 + 2 * PAIRS * 11, 12)
