"""Training of the spending model: mean and two quantiles, conformally adjusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from sklearn.metrics import mean_pinball_loss
from sklearn.pipeline import Pipeline

from vitalcheck.features import FloatArray
from vitalcheck.training import data as reading
from vitalcheck.training import estimators, evaluation, reference
from vitalcheck.training.artifacts import Facts, Report, save_pipeline
from vitalcheck.training.data import Dataset, IntArray
from vitalcheck.training.evaluation import QUANTITY_METRICS, Fold
from vitalcheck.training.risk import as_facts

LOW, HIGH = 0.05, 0.95
PIPELINES: Mapping[str, Callable[[], Pipeline]] = {
    "mean": estimators.spending_mean,
    "q05": lambda: estimators.spending_quantile(LOW, leaves=12),
    "q95": lambda: estimators.spending_quantile(HIGH, leaves=4),
}


def train_insurance(
    data: Path, out: Path, *, seed: int = 0, report: Report, quick: bool = False
) -> Facts:
    """Train, write `out/insurance_{mean,q05,q95}.joblib` and return the facts for the card."""
    report("reading", 0.0)
    dataset = reading.insurance(data)
    folds = evaluation.group_folds(dataset, 2 if quick else 5, seed)
    guesses = {}
    for number, name in enumerate(PIPELINES):
        report(f"cross-validating {name}", 0.05 + 0.2 * number)
        guesses[name] = evaluation.out_of_fold(dataset, folds, _predictor(name))
    report("measuring", 0.65)
    facts = _measured(dataset, guesses["mean"], resamples=50 if quick else 200, seed=seed)
    facts |= _interval(dataset, folds, guesses)
    report("fitting", 0.8)
    models = {name: _fitted(name, dataset, np.arange(len(dataset))) for name in PIPELINES}
    for name, model in models.items():
        save_pipeline(model, out / f"insurance_{name}.joblib")
    row = reference.typical_row(dataset)
    report("done", 1.0)
    return facts | {
        "reference": row,
        "reference_choice": reference.AMONG_ALL,
        "baseline": float(models["mean"].predict(dataset.features.encode([row]))[0]),
    }


def _fitted(name: str, dataset: Dataset, rows: IntArray) -> Pipeline:
    pipeline = PIPELINES[name]()
    weights = {f"{pipeline.steps[-1][0]}__sample_weight": dataset.weights[rows]}
    return pipeline.fit(dataset.inputs[rows], dataset.target[rows], **weights)


def _predictor(name: str) -> evaluation.Predict:
    def predict(dataset: Dataset, learn: IntArray, judge: IntArray) -> FloatArray:
        model = _fitted(name, dataset, learn)
        return np.maximum(np.asarray(model.predict(dataset.inputs[judge]), dtype=np.float64), 0.0)

    return predict


def _measured(dataset: Dataset, guess: FloatArray, *, resamples: int, seed: int) -> Facts:
    def metrics(is_weighted: bool) -> Facts:
        found = evaluation.measure(
            QUANTITY_METRICS,
            dataset,
            [guess],
            resamples=resamples,
            seed=seed,
            is_weighted=is_weighted,
        )
        return as_facts(found)

    return {
        "model": (
            "three gradient boostings of small trees, fitted with survey weights: Poisson deviance "
            "for the mean, pinball loss for the two quantiles"
        ),
        "rows": len(dataset),
        "groups": len(np.unique(dataset.groups)),
        "share_spending_nothing": evaluation.rounded(float(np.mean(dataset.target == 0))),
        "validation": (
            "5-fold cross-validation with whole households apart; every number from predictions "
            "for households the model never saw; 95 % intervals by bootstrap over households"
        ),
        "metrics": metrics(False),
        "metrics_survey_weighted": metrics(True),
    }


def _interval(dataset: Dataset, folds: list[Fold], guesses: Mapping[str, FloatArray]) -> Facts:
    """Each end moved by its own conformal amount (conformalized quantile regression, two-sided)."""
    spent, low, high = dataset.target, guesses["q05"], guesses["q95"]
    below = evaluation.conformal_quantile(low - spent, 1 - LOW)
    above = evaluation.conformal_quantile(spent - high, HIGH)
    inside = np.empty(len(dataset), dtype=bool)
    for learn, judge in folds:
        floor = low[judge] - evaluation.conformal_quantile((low - spent)[learn], 1 - LOW)
        ceiling = high[judge] + evaluation.conformal_quantile((spent - high)[learn], HIGH)
        floor = np.minimum(np.maximum(floor, 0), guesses["mean"][judge])
        ceiling = np.maximum(ceiling, guesses["mean"][judge])
        inside[judge] = (floor <= spent[judge]) & (spent[judge] <= ceiling)
    weights = dataset.weights
    return {
        "conformal": {
            "below_usd": evaluation.rounded(max(below, 0.0)),
            "above_usd": evaluation.rounded(above),
            "nominal_coverage": 0.90,
            "measured_coverage": evaluation.rounded(float(inside.mean())),
            "measured_coverage_survey_weighted": evaluation.rounded(
                float(np.average(inside, weights=weights))
            ),
            "method": (
                "conformalized quantile regression (Romano, Patterson & Candès 2019), each end at "
                "95 % on its own: the interval is max(0, q05 - below_usd) to q95 + above_usd and "
                "holds the mean; the coverage is measured in each fold with the amounts from the "
                "other folds"
            ),
        },
        "quantiles": {
            "share_below_q05": evaluation.rounded(float(np.mean(spent < low))),
            "share_above_q95": evaluation.rounded(float(np.mean(spent > high))),
            "share_with_q05_zero": evaluation.rounded(float(np.mean(low <= max(below, 0.0)))),
            "pinball_q05": _pinball(dataset, low, LOW),
            "pinball_q95": _pinball(dataset, high, HIGH),
        },
    }


def _pinball(dataset: Dataset, guess: FloatArray, level: float) -> float:
    return evaluation.rounded(float(mean_pinball_loss(dataset.target, guess, alpha=level)))
