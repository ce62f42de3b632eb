"""Training of the life-expectancy model: whole countries apart, a conformal interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.pipeline import Pipeline

from vitalcheck.features import FloatArray
from vitalcheck.training import data as reading
from vitalcheck.training import estimators, evaluation, reference
from vitalcheck.training.artifacts import Facts, Report, save_pipeline
from vitalcheck.training.data import Dataset, IntArray
from vitalcheck.training.evaluation import QUANTITY_METRICS, Fold
from vitalcheck.training.risk import as_facts

LEVEL = 0.90


def train_life_expectancy(
    data: Path, out: Path, *, seed: int = 0, report: Report, quick: bool = False
) -> Facts:
    """Train, write `out/life_expectancy.joblib` and return the facts for its card."""
    report("reading", 0.0)
    dataset = reading.life_expectancy(data)
    repeats = 1 if quick else 3
    splits, guesses = [], []
    for number in range(repeats):
        report("cross-validating", 0.05 + 0.6 * number / repeats)
        splits.append(evaluation.group_folds(dataset, 2 if quick else 5, seed + number))
        guesses.append(evaluation.out_of_fold(dataset, splits[-1], _predict))
    report("measuring", 0.7)
    facts = _measured(dataset, guesses, resamples=50 if quick else 200, seed=seed)
    facts |= _interval(dataset, splits, guesses)
    report("fitting", 0.9)
    model = _fitted(dataset, np.arange(len(dataset)))
    save_pipeline(model, out / "life_expectancy.joblib")
    row = reference.typical_row(dataset)
    report("done", 1.0)
    return facts | {
        "reference": row,
        "reference_choice": reference.AMONG_ALL,
        "baseline": float(model.predict(dataset.features.encode([row]))[0]),
    }


def _fitted(dataset: Dataset, rows: IntArray) -> Pipeline:
    return estimators.life_expectancy().fit(dataset.inputs[rows], dataset.target[rows])


def _predict(dataset: Dataset, learn: IntArray, judge: IntArray) -> FloatArray:
    return np.asarray(_fitted(dataset, learn).predict(dataset.inputs[judge]), dtype=np.float64)


def _measured(dataset: Dataset, guesses: list[FloatArray], *, resamples: int, seed: int) -> Facts:
    found = evaluation.measure(QUANTITY_METRICS, dataset, guesses, resamples=resamples, seed=seed)
    return {
        "model": "gradient boosting of small trees, each on three random inputs",
        "rows": len(dataset),
        "groups": len(np.unique(dataset.groups)),
        "validation": (
            f"{len(guesses)} x 5-fold cross-validation with whole countries apart; every number "
            "from predictions for countries the model never saw; 95 % intervals by bootstrap over "
            "countries"
        ),
        "metrics": as_facts(found),
    }


def _interval(dataset: Dataset, splits: list[list[Fold]], guesses: list[FloatArray]) -> Facts:
    errors = [np.abs(dataset.target - guess) for guess in guesses]
    inside = [
        np.mean(error[judge] <= evaluation.conformal_quantile(error[learn], LEVEL))
        for folds, error in zip(splits, errors, strict=True)
        for learn, judge in folds
    ]
    return {
        "conformal": {
            "half_width_years": evaluation.rounded(
                evaluation.conformal_quantile(np.concatenate(errors), LEVEL)
            ),
            "nominal_coverage": LEVEL,
            "measured_coverage": evaluation.rounded(float(np.mean(inside))),
            "method": (
                "cross-conformal: the quantile of the absolute errors for unseen countries; the "
                "coverage is measured in each fold with the width from the other folds"
            ),
        }
    }
