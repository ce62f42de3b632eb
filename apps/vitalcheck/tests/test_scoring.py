"""Levels, intervals, contributors and the lifestyle score, as pure functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitalcheck import features
from vitalcheck.advice import recommendations
from vitalcheck.answers import Contributor, RiskLevel
from vitalcheck.features import FloatArray, Row
from vitalcheck.scoring import (
    Spending,
    assess,
    contributors,
    cost_interval,
    estimate,
    highest,
    lifestyle_score,
    risk_level,
    spend,
)
from vitalcheck.shapley import Case, Outcome


class Coin:
    """A classifier whose second column is the first feature."""

    def predict_proba(self, rows: FloatArray, /) -> FloatArray:
        return np.column_stack([1 - rows[:, 0], rows[:, 0]])

    def predict(self, rows: FloatArray, /) -> FloatArray:
        return rows[:, 0]


class Slope:
    """A regressor: the first feature times a factor."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def predict(self, rows: FloatArray, /) -> FloatArray:
        return rows[:, 0] * self.factor


def cases(*values: float) -> list[Case]:
    return [Case(np.array([value, 0.0]), np.zeros(2)) for value in values]


def test_a_risk_is_the_probability_of_the_second_class() -> None:
    first, second = assess(Coin(), cases(0.25, 0.75))
    assert (first.prediction, second.prediction) == (0.25, 0.75)
    assert second.baseline == 0
    assert second.effects is not None
    assert second.effects.tolist() == [0.75, 0]


def test_an_estimate_is_the_prediction() -> None:
    (outcome,) = estimate(Slope(10), cases(7))
    assert outcome.prediction == 70


def test_expected_spending_and_its_effects_never_start_below_zero() -> None:
    (spending,) = spend({"mean": Slope(-1), "q05": Slope(-2), "q95": Slope(3)}, cases(5))
    assert spending == Spending(spending.expected, -10, 15)
    assert spending.expected.prediction == 0
    assert spending.expected.effects is not None
    assert spending.expected.effects.tolist() == [0, 0]


numbers = st.floats(-1e6, 1e6)


@given(st.floats(0, 1e6), numbers, numbers, numbers, numbers)
def test_the_cost_interval_holds_the_expected_cost_and_nothing_negative(
    expected: float, low: float, high: float, below: float, above: float
) -> None:
    start, end = cost_interval(Spending(Outcome(expected), low, high), below, above)
    assert 0 <= start <= expected <= end


def test_the_cost_interval_moves_both_quantiles_by_the_conformal_amounts() -> None:
    assert cost_interval(Spending(Outcome(500), 100, 900), 40, 60) == [60, 960]


@pytest.mark.parametrize(
    ("probability", "level"),
    [
        (0, "low"),
        (0.0999, "low"),
        (0.1, "moderate"),
        (0.3, "high"),
        (0.6, "critical"),
        (1, "critical"),
    ],
)
def test_a_bound_belongs_to_the_higher_level(probability: float, level: RiskLevel) -> None:
    assert risk_level(probability) == level


def test_cards_may_state_other_bounds() -> None:
    assert risk_level(0.05, (0.02, 0.04, 0.08)) == "high"


def test_the_highest_level_is_the_most_serious() -> None:
    assert highest(["moderate", "critical", "low"]) == "critical"


def test_contributors_are_the_five_largest_effects_with_the_values_as_sent() -> None:
    table = features.DIABETES
    effects = np.array([0.01, -0.2, 0.0, 0.03, -0.04, 0.05, 0.0, 0.06])
    row: Row = {"glucose": 180, "age": None}
    found = contributors(table, row, effects)
    assert [item.feature for item in found] == [
        "glucose",
        "age",
        "bmi",
        "insulin",
        "skin_thickness",
    ]
    assert (found[0].value, found[0].effect) == (180, -0.2)
    assert found[1].value is None


def test_features_without_effect_are_not_contributors() -> None:
    effects = np.zeros(8)
    effects[2] = 0.1
    assert [c.feature for c in contributors(features.DIABETES, {}, effects)] == ["blood_pressure"]


BEST: Row = {
    "sleep_hours": 8,
    "physically_active": True,
    "smoker": "never",
    "bmi": 22,
    "drinks_per_day": 0,
}
WORST: Row = {
    "sleep_hours": 2,
    "physically_active": False,
    "smoker": "current",
    "bmi": 55,
    "drinks_per_day": 12,
}


def test_the_lifestyle_score_goes_from_0_to_100_and_the_unknown_counts_half() -> None:
    assert lifestyle_score(BEST) == 100
    assert lifestyle_score(WORST) == 0
    assert lifestyle_score({}) == 50


@pytest.mark.parametrize(
    ("name", "value", "points"),
    [
        ("sleep_hours", 5.5, -15),
        ("sleep_hours", 10.5, -15),
        ("smoker", "former", -6),
        ("bmi", 32.5, -10),
        ("drinks_per_day", 3.5, -5),
        ("physically_active", None, -10),
    ],
)
def test_each_habit_has_its_weight(name: str, value: float | str | None, points: float) -> None:
    assert lifestyle_score({**BEST, name: value}) == pytest.approx(100 + points)


LEVELS: list[RiskLevel] = ["low", "moderate", "high", "critical"]


def contributor(feature: str, effect: float, value: float | None = 1) -> Contributor:
    return Contributor(feature=feature, value=value, effect=effect)


@pytest.mark.parametrize("level", LEVELS)
def test_high_risks_send_people_to_a_clinician(level: RiskLevel) -> None:
    text = " ".join(recommendations(level, []))
    assert ("Talk to a clinician" in text) == (level in ("high", "critical"))
    assert ("emergency" in text) == (level == "critical")


def test_advice_is_about_what_raises_the_risk_and_can_be_changed() -> None:
    advice = recommendations(
        "low",
        [
            contributor("age", 0.3),
            contributor("glucose", 0.2),
            contributor("bmi", -0.1),
            contributor("insulin", 0.1, None),
            contributor("cholesterol", 0.001),
        ],
    )
    assert len(advice) == 2
    assert "blood sugar" in advice[1]


def test_advice_is_short_and_says_nothing_twice() -> None:
    names = ["depressed", "mental_health", "smoker", "sleep_hours", "drinks_per_day"]
    advice = recommendations("moderate", [contributor(name, 0.1) for name in names])
    assert len(advice) == 4
    assert len(set(advice)) == 4
