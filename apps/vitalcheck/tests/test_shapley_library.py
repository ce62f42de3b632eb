"""The served models' contributions against the `shap` library's, for the original pipelines."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
import pytest

from loadonce import Classifier, Model
from vitalcheck.features import FEATURES, FloatArray
from vitalcheck.models import Models
from vitalcheck.scoring import assess, estimate, spend
from vitalcheck.settings import Settings
from vitalcheck.shapley import EXACT_DIFFERING, EXACT_FEATURES, Case, Outcome

pytestmark = [
    pytest.mark.timeout(120),  # the library compiles itself where nobody has imported it before
    pytest.mark.skipif(sys.platform != "linux", reason="it is pinned for Linux only"),
]

SHIPPED = Settings.model_fields["models_dir"].default
RISKS = ("diabetes", "heart", "stroke", "breast_cancer", "sleep")
SOURCES = {name: name for name in (*RISKS, "life_expectancy")} | {"insurance": "insurance_mean"}
SAMPLED = 14
"""So many features differ where the values are sampled; shap's are exact then, too: 2**14 rows."""


@pytest.fixture(scope="module")
def served() -> Iterator[Models]:
    with Models(root=SHIPPED).loaded() as running:
        yield running


def original(name: str) -> Any:
    """What the pipeline, as it was trained, says to rows: one number for each."""
    model = joblib.load(SHIPPED / f"{SOURCES[name]}.joblib")
    if name in RISKS:
        return lambda rows: model.predict_proba(rows)[:, 1]
    if name == "insurance":
        return lambda rows: np.maximum(model.predict(rows), 0)
    return model.predict


def explained(models: Models, name: str, case: Case) -> Outcome:
    if name == "insurance":
        return models.insurance.run(spend, [case])[0].expected
    if name == "life_expectancy":
        return models.life_expectancy.run(estimate, [case])[0]
    risk: Model[Classifier] = getattr(models, name)
    return risk.run(assess, [case])[0]


def case_of(models: Models, name: str, differing: int, kind: str) -> Case:
    """The card's reference, and a row that differs from it in so many features."""
    card = models.cards.run(lambda cards: cards[name])
    random = np.random.default_rng(differing)
    row = card.reference.copy()
    for at in random.permutation(len(row))[:differing].tolist():
        row[at] = _other(card.table.features[at], row[at], kind, random)
    return Case(row, card.reference)


def _other(feature: Any, value: float, kind: str, random: Any) -> float:
    if kind == "missing" and feature.optional and random.random() < 0.5:
        return math.nan
    if feature.levels or feature.kind == "boolean":
        return float((value + 1) % (len(feature.levels) or 2))
    low, high = feature.low or 0, feature.high or 10 * abs(value)
    farther = low if value - low > high - value else high
    moved = float(value + (farther - value) * random.uniform(0.05, 0.15))
    return moved if feature.kind == "number" else math.ceil(moved)


def by_the_library(name: str, case: Case) -> FloatArray:
    """Interventional Shapley values with the reference as the only background, all coalitions."""
    import shap

    assert case.reference is not None
    explainer = shap.explainers.ExactExplainer(
        original(name), shap.maskers.Independent(case.reference[np.newaxis])
    )
    found = explainer(case.row[np.newaxis], max_evals=2**SAMPLED + 1, silent=True)
    return np.asarray(found.values[0], dtype=np.float64)


EXACT = {name: min(len(FEATURES[name]), EXACT_FEATURES) for name in ("diabetes", "heart", "sleep")}
EXACT |= dict.fromkeys(("stroke", "breast_cancer", "life_expectancy", "insurance"), EXACT_DIFFERING)


@pytest.mark.parametrize("kind", ["known", "missing"])
@pytest.mark.parametrize(("name", "differing"), EXACT.items())
def test_exact_contributions_are_the_library_s(
    served: Models, name: str, differing: int, kind: str
) -> None:
    """To what a converted model's answers may differ, 2e-6 of a probability, or of the size."""
    case = case_of(served, name, differing, kind)
    found = explained(served, name, case)
    expected = by_the_library(name, case)
    assert found.effects is not None
    size = max(1.0, abs(found.prediction))
    np.testing.assert_allclose(found.effects, expected, atol=2e-6 * size, rtol=0)
    assert np.abs(expected).max() > 1e-3  # there is something to compare


@pytest.mark.parametrize("name", ["stroke", "life_expectancy", "insurance", "breast_cancer"])
def test_sampled_contributions_are_near_the_library_s(served: Models, name: str) -> None:
    """Sampled orders: within a tenth of the largest, and the largest is the same."""
    case = case_of(served, name, SAMPLED, "known")
    found = explained(served, name, case)
    expected = by_the_library(name, case)
    assert found.effects is not None
    largest = np.abs(expected).max()
    assert np.abs(found.effects - expected).max() < largest / 10
    assert np.abs(found.effects - expected).max() > 1e-12 * largest  # the control: not exact
    assert np.argmax(np.abs(found.effects)) == np.argmax(np.abs(expected))
