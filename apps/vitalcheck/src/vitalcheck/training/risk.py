"""Training of the five risk models: cross-validate, calibrate, fit on everything, measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from vitalcheck.features import FloatArray
from vitalcheck.training import data as reading
from vitalcheck.training import estimators, evaluation, reference
from vitalcheck.training.artifacts import Facts, Report, save_pipeline
from vitalcheck.training.data import Dataset, IntArray
from vitalcheck.training.estimators import Classifying
from vitalcheck.training.evaluation import RISK_METRICS, Fold, Interval

LEVEL_BOUNDS = {"moderate": 0.10, "high": 0.30, "critical": 0.60}
"""Where the levels begin; below the first the risk is low."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one risk model is made.

    `repeats` cross-validations of `folds` folds each are averaged: more repeats for small data.
    """

    name: str
    pipeline: Callable[[], Pipeline]
    words: str
    repeats: int = 10
    folds: int = 5
    is_surveyed: bool = False


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "diabetes",
            estimators.diabetes,
            "logistic regression on Yeo-Johnson transformed measurements, medians for missing ones",
        ),
        Recipe(
            "heart",
            estimators.heart,
            "logistic regression on levels and standardised numbers; not known is a level of its "
            "own",
        ),
        Recipe(
            "stroke",
            estimators.stroke,
            "mean of logistic regression and gradient boosting of small trees, medians for missing "
            "values",
            repeats=1,
            folds=10,
            is_surveyed=True,
        ),
        Recipe(
            "breast_cancer",
            estimators.breast_cancer,
            "logistic regression on standardised measurements",
        ),
        Recipe(
            "sleep",
            estimators.sleep,
            "gradient boosting of small trees, which split missing values off",
            repeats=1,
            folds=10,
            is_surveyed=True,
        ),
    )
}


def train_risk(
    name: str, data: Path, out: Path, *, seed: int = 0, report: Report, quick: bool = False
) -> Facts:
    """Train the risk model `name`, write `out/NAME.joblib` and return the facts for its card.

    `quick` cross-validates once with few resamples; the model itself is the same.
    """
    recipe = RECIPES[name]
    report("reading", 0.0)
    dataset = reading.READERS[name](data)
    repeats = 1 if quick else recipe.repeats
    guesses = []
    for number in range(repeats):
        report("cross-validating", 0.05 + 0.65 * number / repeats)
        folds = evaluation.class_folds(dataset, 2 if quick else recipe.folds, seed + number)
        guesses.append(unseen(recipe.pipeline(), dataset, folds))
    report("measuring", 0.7)
    facts = _measured(recipe, dataset, guesses, resamples=50 if quick else 200, seed=seed)
    if name == "heart":
        facts |= _about_sites(data, dataset, seed)
    report("fitting", 0.95)
    model = fitted(recipe.pipeline(), dataset, np.arange(len(dataset)))
    facts |= _conclusion(model, dataset, out / f"{name}.joblib")
    report("done", 1.0)
    return facts


def fitted(pipeline: Pipeline, dataset: Dataset, rows: IntArray) -> Classifying:
    """A fresh copy of `pipeline`, fitted on these rows."""
    model = cast("Pipeline", clone(pipeline))
    model.fit(dataset.inputs[rows], dataset.target[rows].astype(np.int64))
    return cast("Classifying", model)


def unseen(pipeline: Pipeline, dataset: Dataset, folds: Sequence[Fold]) -> FloatArray:
    """Out-of-fold probabilities."""

    def predict(whole: Dataset, learn: IntArray, judge: IntArray) -> FloatArray:
        return positive(fitted(pipeline, whole, learn), whole.inputs[judge])

    return evaluation.out_of_fold(dataset, folds, predict)


def positive(model: Classifying, inputs: FloatArray) -> FloatArray:
    """The probability of the positive class, (rows,)."""
    return np.asarray(model.predict_proba(inputs), dtype=np.float64)[:, 1]


def _measured(
    recipe: Recipe, dataset: Dataset, guesses: list[FloatArray], *, resamples: int, seed: int
) -> Facts:
    def metrics(is_weighted: bool) -> Facts:
        found = evaluation.measure(
            RISK_METRICS,
            dataset,
            guesses,
            resamples=resamples,
            seed=seed,
            is_weighted=is_weighted,
        )
        return as_facts(found)

    repeats = len(guesses)
    facts: Facts = {
        "model": recipe.words,
        "rows": len(dataset),
        "positives": int(dataset.target.sum()),
        "groups": len(np.unique(dataset.groups)),
        "validation": (
            f"{recipe.folds}-fold cross-validation, {repeats} time(s), stratified, groups whole; "
            "every number from predictions for rows the model never saw; 95 % intervals by "
            "bootstrap over groups"
        ),
        "metrics": metrics(False),
        "calibration": {
            "method": "none needed: fitted with the log loss, checked on the folds below",
            **evaluation.calibration_facts(
                np.tile(dataset.target, repeats), np.concatenate(guesses)
            ),
        },
        "risk_levels": LEVEL_BOUNDS,
    }
    if recipe.is_surveyed:
        facts["metrics_survey_weighted"] = metrics(True)
    return facts


def _conclusion(model: Classifying, dataset: Dataset, path: Path) -> Facts:
    row = reference.typical_row(dataset, 1 - dataset.target)
    codes = dataset.features.encode([row])
    save_pipeline(model, path)
    return {
        "reference": row,
        "reference_choice": reference.AMONG_HEALTHY,
        "baseline": float(positive(model, codes)[0]),
    }


def _about_sites(data: Path, dataset: Dataset, seed: int) -> Facts:
    """How the heart model does at a site it never saw, and without the help of missingness."""
    blind = _filled(dataset)
    sites = reading.heart_sites(data)
    folds = evaluation.class_folds(blind, 5, seed)
    within = [unseen(estimators.heart(), blind, folds)]
    found = evaluation.measure(_TWO, blind, within, resamples=50, seed=seed)
    return {
        "metrics_other_site": {
            site: {
                "rows": int((sites == site).sum()),
                **_elsewhere(dataset, sites != site, ""),
                **_elsewhere(blind, sites != site, "_without_missingness"),
            }
            for site in np.unique(sites).tolist()
        },
        "metrics_without_missingness": as_facts(found),
    }


_TWO = {name: RISK_METRICS[name] for name in ("auc", "log_loss")}


def _filled(dataset: Dataset) -> Dataset:
    """The same rows with typical values in place of missing ones."""
    typical = dataset.features.encode([reference.typical_row(dataset)])
    return replace(dataset, inputs=np.where(np.isnan(dataset.inputs), typical, dataset.inputs))


def _elsewhere(dataset: Dataset, is_learned: reading.BoolArray, ending: str) -> Facts:
    """Metrics for the rows that are not learned."""
    model = fitted(estimators.heart(), dataset, np.flatnonzero(is_learned))
    guess = positive(model, dataset.inputs[~is_learned])
    truth = dataset.target[~is_learned]
    return {
        name + ending: evaluation.rounded(metric(truth, guess, np.ones(len(truth))))
        for name, metric in _TWO.items()
    }


def as_facts(found: Mapping[str, Interval]) -> Facts:
    """Metrics as a card states them."""
    return {name: interval.as_facts() for name, interval in found.items()}
