"""Measuring: groups stay whole, intervals hold the value, small cells are never shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitalcheck.features import DIABETES
from vitalcheck.training import evaluation
from vitalcheck.training.data import Dataset, IntArray
from vitalcheck.training.reference import typical_row


def dataset(rows: int = 200, groups: int = 50, seed: int = 0) -> Dataset:
    random = np.random.default_rng(seed)
    return Dataset(
        DIABETES,
        random.normal(size=(rows, len(DIABETES))),
        (random.random(rows) < 0.3).astype(float),
        random.integers(0, groups, rows),
        random.uniform(0.5, 1.5, rows),
    )


@pytest.mark.parametrize("folds", [evaluation.class_folds, evaluation.group_folds])
def test_no_group_is_on_both_sides(
    folds: Callable[[Dataset, int, int], list[evaluation.Fold]],
) -> None:
    """Every row is judged once, by a fold that learned nothing of its group."""
    whole = dataset()
    seen: list[int] = []
    for learn, judge in folds(whole, 5, 3):
        assert not set(whole.groups[learn]) & set(whole.groups[judge])
        seen += judge.tolist()
    assert sorted(seen) == list(range(len(whole)))


def test_out_of_fold_puts_predictions_where_they_belong() -> None:
    """Each row gets the prediction made for it."""
    whole = dataset()

    def predict(_: Dataset, learn: IntArray, judge: IntArray) -> np.ndarray:
        return judge.astype(float)

    folds = evaluation.group_folds(whole, 4, 0)
    np.testing.assert_array_equal(
        evaluation.out_of_fold(whole, folds, predict), np.arange(len(whole))
    )


def test_intervals_hold_the_value_and_repeat() -> None:
    """The same seed gives the same interval; weights change the number."""
    whole = dataset()
    guess = np.clip(whole.target * 0.3 + np.random.default_rng(1).random(len(whole)) * 0.7, 0, 1)
    metrics = {**evaluation.RISK_METRICS, **evaluation.QUANTITY_METRICS}
    first = evaluation.measure(metrics, whole, [guess, guess], resamples=50, seed=1)
    again = evaluation.measure(metrics, whole, [guess], resamples=50, seed=1)
    weighted = evaluation.measure(metrics, whole, [guess], resamples=50, seed=1, is_weighted=True)
    assert first == again
    for name, found in first.items():
        assert found.low < found.value < found.high, name
        assert weighted[name].value != found.value
    assert first["auc"].as_facts()["value"] == pytest.approx(first["auc"].value, rel=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(0, 5))
def test_reliability_bins_are_never_small(rows: int, seed: int) -> None:
    """All rows are counted; no bin has fewer than eleven unless there are fewer rows in all."""
    random = np.random.default_rng(seed)
    guess = random.random(rows)
    table = evaluation.reliability((random.random(rows) < guess).astype(float), guess)
    assert sum(item.rows for item in table) == rows
    assert min(item.rows for item in table) >= min(rows, evaluation.SMALLEST_CELL)
    assert all(item.low <= item.predicted + 1e-12 for item in table)
    assert 0 <= evaluation.calibration_error(table) <= 1


def test_calibration_error_tells_right_from_wrong() -> None:
    """Probabilities that come true have none; the same shifted by 0.2 have about 0.2."""
    guess = np.repeat([0.2, 0.6], 1000)
    truth = np.concatenate([np.resize([1, 0, 0, 0, 0], 1000), np.resize([1, 1, 1, 0, 0], 1000)])
    right = evaluation.calibration_facts(truth.astype(float), guess)
    wrong = evaluation.calibration_facts(truth.astype(float), guess + 0.2)
    assert right["expected_calibration_error"] == pytest.approx(0, abs=0.01)
    assert wrong["expected_calibration_error"] == pytest.approx(0.2, abs=0.01)
    assert len(right["reliability"]) == 10  # type: ignore[arg-type]


@given(st.integers(1, 500))
def test_the_conformal_quantile_covers(rows: int) -> None:
    """At least the level's share of the scores is at or below it."""
    scores = np.random.default_rng(rows).normal(size=rows)
    quantile = evaluation.conformal_quantile(scores, 0.9)
    assert np.mean(scores <= quantile) >= 0.9


def test_the_typical_row_weighs_and_leaves_nobody_recognisable() -> None:
    """Medians follow the weights; a value of fewer than eleven rows is refused."""
    whole = dataset()
    row = typical_row(whole)
    assert set(row) == set(DIABETES.names)
    heavy = Dataset(
        DIABETES,
        whole.inputs,
        whole.target,
        whole.groups,
        np.where(whole.inputs[:, 1] > 1, 100.0, 0.01),
    )
    assert float(typical_row(heavy)["glucose"] or 0) > 1
    with pytest.raises(ValueError, match="fewer than 11 rows"):
        typical_row(whole, (np.arange(len(whole)) < 10).astype(float))
