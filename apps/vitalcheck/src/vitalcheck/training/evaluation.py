"""Honest numbers: out-of-fold predictions, metrics with intervals, reliability tables.

Folds never split a group. Intervals are 95 % percentile bootstraps over groups (Efron & Tibshirani
1993). Expected calibration error: mean distance of observed from predicted share, over bins of
equal count (Naeini, Cooper & Hauskrecht 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from vitalcheck.features import FloatArray
from vitalcheck.training.data import Dataset, IntArray

SMALLEST_CELL = 11
"""Fewer people or stays than this are never shown."""

Metric: TypeAlias = Callable[[FloatArray, FloatArray, FloatArray], float]
"""(truth, prediction, weights), each (rows,) -> a number."""
Fold: TypeAlias = tuple[IntArray, IntArray]
"""Rows to learn from, rows to judge."""
Predict: TypeAlias = Callable[[Dataset, IntArray, IntArray], FloatArray]
"""(dataset, rows to learn from, rows to predict) -> predictions for the latter."""


def _auc(truth: FloatArray, predicted: FloatArray, weights: FloatArray) -> float:
    return float(roc_auc_score(truth, predicted, sample_weight=weights))


def _precision(truth: FloatArray, predicted: FloatArray, weights: FloatArray) -> float:
    return float(average_precision_score(truth, predicted, sample_weight=weights))


def _brier(truth: FloatArray, predicted: FloatArray, weights: FloatArray) -> float:
    return float(brier_score_loss(truth, predicted, sample_weight=weights))


def _log_loss(truth: FloatArray, predicted: FloatArray, weights: FloatArray) -> float:
    return float(log_loss(truth, predicted, sample_weight=weights, labels=[0, 1]))


def _r2(truth: FloatArray, predicted: FloatArray, weights: FloatArray) -> float:
    return float(r2_score(truth, predicted, sample_weight=weights))


def _mae(truth: FloatArray, predicted: FloatArray, weights: FloatArray) -> float:
    return float(mean_absolute_error(truth, predicted, sample_weight=weights))


def _rmse(truth: FloatArray, predicted: FloatArray, weights: FloatArray) -> float:
    return float(root_mean_squared_error(truth, predicted, sample_weight=weights))


RISK_METRICS: Mapping[str, Metric] = {
    "auc": _auc,
    "average_precision": _precision,
    "brier": _brier,
    "log_loss": _log_loss,
}
QUANTITY_METRICS: Mapping[str, Metric] = {
    "r2": _r2,
    "mean_absolute_error": _mae,
    "root_mean_squared_error": _rmse,
}


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured number and its 95 % interval."""

    value: float
    low: float
    high: float

    def as_facts(self) -> dict[str, float]:
        return {"value": rounded(self.value), "low": rounded(self.low), "high": rounded(self.high)}


def rounded(number: float) -> float:
    """Five significant digits: more would claim a precision that is not there."""
    return float(f"{number:.5g}")


def class_folds(dataset: Dataset, folds: int, seed: int) -> list[Fold]:
    """Stratified on the target, groups whole."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return list(splitter.split(dataset.inputs, dataset.target, dataset.groups))


def group_folds(dataset: Dataset, folds: int, seed: int) -> list[Fold]:
    """Groups whole."""
    splitter = GroupKFold(folds, shuffle=True, random_state=seed)
    return list(splitter.split(dataset.inputs, dataset.target, dataset.groups))


def out_of_fold(dataset: Dataset, folds: Sequence[Fold], predict: Predict) -> FloatArray:
    """A prediction for every row by a model that never saw its group."""
    predicted = np.empty(len(dataset))
    for learn, judge in folds:
        predicted[judge] = predict(dataset, learn, judge)
    return predicted


def measure(
    metrics: Mapping[str, Metric],
    dataset: Dataset,
    repeats: Sequence[FloatArray],
    *,
    resamples: int,
    seed: int,
    is_weighted: bool = False,
) -> dict[str, Interval]:
    """Each metric, averaged over the out-of-fold predictions of every repeat, with its interval."""
    weights = dataset.weights if is_weighted else np.ones(len(dataset))

    def mean(metric: Metric, rows: IntArray) -> float:
        truth, share = dataset.target[rows], weights[rows]
        return float(np.mean([metric(truth, guess[rows], share) for guess in repeats]))

    everyone = np.arange(len(dataset))
    draws = list(_resampled(dataset.groups, resamples, seed))
    found = {}
    for name, metric in metrics.items():
        low, high = np.quantile([mean(metric, rows) for rows in draws], [0.025, 0.975])
        found[name] = Interval(mean(metric, everyone), float(low), float(high))
    return found


def _resampled(groups: IntArray, resamples: int, seed: int) -> Iterator[IntArray]:
    """Rows of as many groups as there are, drawn with replacement."""
    random = np.random.default_rng(seed)
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    for _ in range(resamples):
        drawn = random.integers(0, len(members), len(members))
        yield np.concatenate([members[number] for number in drawn])


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows with similar predictions: what was predicted on average, and what share was positive."""

    low: float
    high: float
    rows: int
    predicted: float
    observed: float


def reliability(truth: FloatArray, predicted: FloatArray, bins: int = 10) -> list[Bin]:
    """Bins of equal count in the order of the predictions, none smaller than `SMALLEST_CELL`."""
    order = np.argsort(predicted, kind="stable")
    count = max(1, min(bins, len(truth) // SMALLEST_CELL))
    return [
        Bin(
            low=float(predicted[rows[0]]),
            high=float(predicted[rows[-1]]),
            rows=len(rows),
            predicted=float(predicted[rows].mean()),
            observed=float(truth[rows].mean()),
        )
        for rows in np.array_split(order, count)
    ]


def calibration_error(table: Sequence[Bin]) -> float:
    """Expected calibration error of a reliability table."""
    rows = sum(item.rows for item in table)
    return sum(item.rows * abs(item.predicted - item.observed) for item in table) / rows


def calibration_facts(truth: FloatArray, predicted: FloatArray) -> dict[str, object]:
    """The card's calibration section."""
    table = reliability(truth, predicted)
    return {
        "expected_calibration_error": rounded(calibration_error(table)),
        "brier": rounded(float(brier_score_loss(truth, predicted))),
        "reliability": [
            {
                "from": rounded(item.low),
                "to": rounded(item.high),
                "predictions": item.rows,
                "mean_predicted": rounded(item.predicted),
                "share_observed": rounded(item.observed),
            }
            for item in table
        ],
    }


def conformal_quantile(scores: FloatArray, level: float) -> float:
    """The quantile that covers `level` of new scores: the ceil((n + 1) level)-th smallest.

    Split-conformal prediction (Vovk et al. 2005; Lei et al. 2018); with out-of-fold scores the
    cross-conformal variant.
    """
    rank = min(int(np.ceil((len(scores) + 1) * level)), len(scores))
    return float(np.sort(scores)[rank - 1])
