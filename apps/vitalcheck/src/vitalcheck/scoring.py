"""From rows to risks, costs and years: pure functions of models, rows and a card's numbers.

The functions that take a model have the shape of loadonce's batch functions: the object and a list
of cases in, one result for each case out, so that concurrent requests share one model call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from loadonce import Classifier, Regressor

from .answers import Contributor, RiskLevel
from .features import FeatureSet, FloatArray, Row
from .shapley import Case, Outcome, explain

LEVELS: Final[tuple[RiskLevel, ...]] = ("low", "moderate", "high", "critical")
BOUNDS: Final = (0.10, 0.30, 0.60)
"""Where moderate, high and critical begin, unless a card states others."""
SHOWN: Final = 5
"""How many contributors an answer shows."""


def assess(model: Classifier, cases: Sequence[Case]) -> list[Outcome]:
    """The probability of the second class for each case, with its explanation."""

    def probability(rows: FloatArray) -> FloatArray:
        return np.asarray(model.predict_proba(rows), dtype=np.float64)[:, 1]

    return explain(probability, cases)


def estimate(model: Regressor, cases: Sequence[Case]) -> list[Outcome]:
    """The prediction for each case, with its explanation."""

    def prediction(rows: FloatArray) -> FloatArray:
        return np.asarray(model.predict(rows), dtype=np.float64)

    return explain(prediction, cases)


@dataclass(frozen=True, slots=True)
class Spending:
    """One case's expected spending, and the raw 5 % and 95 % quantiles; US$."""

    expected: Outcome
    low: float
    high: float


def spend(models: Mapping[str, Regressor], cases: Sequence[Case]) -> list[Spending]:
    """Expected spending, never below 0, and both quantiles for each case."""

    def expected(rows: FloatArray) -> FloatArray:
        return np.maximum(np.asarray(models["mean"].predict(rows), dtype=np.float64), 0.0)

    outcomes = explain(expected, cases)
    rows = np.stack([case.row for case in cases])
    lows, highs = (np.asarray(models[name].predict(rows)).tolist() for name in ("q05", "q95"))
    return [Spending(*case) for case in zip(outcomes, lows, highs, strict=True)]


def cost_interval(spending: Spending, below: float, above: float) -> list[float]:
    """The quantiles, moved by the card's conformal amounts (Romano et al. 2019); holds the expected
    spending and nothing below 0."""
    expected = spending.expected.prediction
    low = min(max(spending.low - below, 0.0), expected)
    return [low, max(max(spending.high, 0.0) + above, expected)]


def risk_level(probability: float, bounds: Sequence[float] = BOUNDS) -> RiskLevel:
    """The level of a probability; a bound itself belongs to the higher level."""
    return LEVELS[sum(probability >= bound for bound in bounds)]


def highest(levels: Iterable[RiskLevel]) -> RiskLevel:
    """The most serious of these levels."""
    return max(levels, key=LEVELS.index)


def contributors(table: FeatureSet, row: Row, effects: FloatArray) -> list[Contributor]:
    """The features with the largest |effect|, largest first; none without any effect."""
    order = np.argsort(-np.abs(effects), kind="stable")[:SHOWN]
    return [
        Contributor(
            feature=table.names[column],
            value=row.get(table.names[column]),
            effect=float(effects[column]),
        )
        for column in order.tolist()
        if effects[column] != 0
    ]


_SMOKING: Final = {"never": 1.0, "former": 0.7, "current": 0.0}
_HALF: Final = 0.5


def lifestyle_score(row: Row) -> float:
    """0 (worst) to 100 points for the habits around sleep; the formula stands in the API's schema.

    Each habit gives 0 to 1, half where it is not known; their weights add up to 100.
    """
    active, smoker = row.get("physically_active"), row.get("smoker")
    return (
        30 * _plateau(row.get("sleep_hours"), 4, 7, 9, 12)
        + 20 * (_HALF if active is None else float(active))
        + 20 * (_HALF if smoker is None else _SMOKING[str(smoker)])
        + 20 * _plateau(row.get("bmi"), 13.5, 18.5, 25, 40)
        + 10 * _plateau(row.get("drinks_per_day"), -1, 0, 1, 6)
    )


def _plateau(value: object, start: float, low: float, high: float, end: float) -> float:
    """1 between `low` and `high`, falling to 0 at `start` and `end`; half for None."""
    if not isinstance(value, int | float):
        return _HALF
    return float(np.interp(value, (start, low, high, end), (0.0, 1.0, 1.0, 0.0)))
