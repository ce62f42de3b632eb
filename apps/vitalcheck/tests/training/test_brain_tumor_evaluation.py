"""The card's numbers against values known by hand or from scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vitalcheck.training import brain_tumor_evaluation as evaluation

CHANCE = np.random.default_rng(2)
LABELS = np.arange(4).repeat(30)
LOGITS = CHANCE.normal(0, 1.0, (120, 2, 4)) + 2.0 * np.eye(4)[LABELS][:, np.newaxis]
SHARES = evaluation.temper(LOGITS, 1.0)


def test_macro_auc_is_that_of_scikit_learn() -> None:
    expected = roc_auc_score(LABELS, SHARES, multi_class="ovr")
    assert evaluation.macro_auc(LABELS, SHARES) == pytest.approx(expected)


def test_ties_count_half() -> None:
    """A model that answers the same for every picture has an area of one half."""
    assert evaluation.macro_auc(LABELS, np.full((120, 4), 0.25)) == 0.5


def test_confusion_rows_are_true_classes_and_agree_with_accuracy_and_recall() -> None:
    counts = np.array(evaluation.confusion(LABELS, SHARES))
    assert counts.sum(1).tolist() == [30] * 4
    assert counts.trace() / 120 == pytest.approx(evaluation.accuracy(LABELS, SHARES))
    assert counts[2, 2] / 30 == pytest.approx(evaluation.recall(LABELS, SHARES, 2))


def test_one_tumour_taken_for_another_still_counts_as_a_tumour() -> None:
    shares = np.eye(4)[[1, 2, 0, 3, 0]]
    assert evaluation.tumor_accuracy(np.array([0, 1, 2, 3, 3]), shares) == pytest.approx(0.8)


def test_intervals_hold_the_value_and_widen_with_the_groups() -> None:
    """Fewer independent groups, less certainty; the same seed, the same interval."""
    alone = evaluation.metrics(LABELS, SHARES, np.arange(120), seed=1, resamples=200)
    grouped = evaluation.metrics(LABELS, SHARES, np.arange(120) // 10, seed=1, resamples=200)
    assert grouped == evaluation.metrics(
        LABELS, SHARES, np.arange(120) // 10, seed=1, resamples=200
    )
    for facts in (alone, grouped):
        low, value, high = (facts["accuracy"][name] for name in ("low", "value", "high"))
        assert isinstance(low, float)
        assert isinstance(value, float)
        assert isinstance(high, float)
        assert low <= value <= high
    assert set(alone) >= {"macro_auc", "recall_glioma", "recall_no_tumor"}


def test_the_fitted_temperature_is_the_one_that_was_applied() -> None:
    """Labels drawn from probabilities, logits then made three times too sure: about 3 comes out."""
    chance = np.random.default_rng(0)
    logits = chance.normal(0, 1.5, (4000, 1, 4))
    drawn = [chance.choice(4, p=p) for p in evaluation.temper(logits, 1.0)]
    fitted = evaluation.fit_temperature(3.0 * logits, np.array(drawn))
    assert fitted == pytest.approx(3.0, rel=0.1)


def test_calibration_of_an_honest_and_of_a_boasting_model() -> None:
    """Sure and right half of the time: an error of one half; bins count every picture."""
    labels = np.array([0, 0, 1, 1])
    boasting = np.tile([1.0, 0.0, 0.0, 0.0], (4, 1))
    facts = evaluation.calibration(labels, boasting)
    assert facts["ece"] == 0.5
    assert facts["brier"] == 1.0
    assert facts["bins"] == [{"from": 0.9, "to": 1.0, "images": 4, "stated": 1.0, "observed": 0.5}]
    honest = np.tile([0.5, 0.5, 0.0, 0.0], (4, 1))
    assert evaluation.calibration(labels, honest)["ece"] == 0.0
