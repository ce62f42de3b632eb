"""Scores to probabilities by what was learnt of their frequencies."""

from __future__ import annotations

from typing import Any

import numpy as np

from loadonce.convert.graphs.averaging import mean
from loadonce.convert.graphs.columns import Columns, lacks
from loadonce.convert.graphs.scope import Classified, Scope
from loadonce.convert.graphs.scoring import from_probabilities, remainder, shared_out


def calibrated(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """The mean of several calibrated classifiers."""
    parts = [_one(scope, each, columns) for each in estimator.calibrated_classifiers_]
    return from_probabilities(scope, parts[0] if len(parts) == 1 else mean(scope, parts))


def isotonic(scope: Scope, estimator: Any, score: str) -> str:
    """Straight lines between the learnt points, level outside them."""
    g = scope.g
    xs = np.asarray(estimator.X_thresholds_, dtype=np.float64)
    ys = np.asarray(estimator.y_thresholds_, dtype=np.float64)
    if len(xs) == 1:
        return g.op("Add", g.op("Mul", score, g.numbers(0.0)), g.numbers(ys))
    score = g.op("Clip", score, g.numbers(xs[0]), g.numbers(xs[-1]))
    passed = g.cast(g.op("GreaterOrEqual", score, g.numbers([*xs[1:-1], np.inf])), "int64")
    place = g.op("ReduceSum", passed, g.integers(1))
    slope = g.op("Gather", g.numbers(np.diff(ys) / np.diff(xs)), place)
    left = g.op("Gather", g.numbers(xs[:-1]), place)
    low = g.op("Gather", g.numbers(ys[:-1]), place)
    return g.op("Add", g.op("Mul", g.op("Sub", score, left), slope), low)


def _one(scope: Scope, member: Any, columns: Columns) -> str:
    g = scope.g
    if member.method not in CALIBRATORS:
        raise scope.refusal(f"method='{member.method}' has no conversion")
    if len(member.estimator.classes_) != len(member.classes):
        raise scope.refusal("one of its classifiers saw other classes")
    found = scope.classify("calibrated classifier", member.estimator, columns)
    classes = len(member.classes)
    scores = found.decision or str(found.probabilities)
    if classes == 2 and found.decision is None:
        scores = g.take(scores, [1])
    if lacks(columns):
        scope.refuse_nan(scores, len(member.calibrators))
    single = len(member.calibrators) == 1
    each = [
        CALIBRATORS[member.method](scope, by, scores if single else g.take(scores, [i]))
        for i, by in enumerate(member.calibrators)
    ]
    if single:
        return remainder(scope, each[0])
    return shared_out(scope, g.concat(each), classes)


def _sigmoid(scope: Scope, by: Any, score: str) -> str:
    g = scope.g
    raised = g.op("Add", g.op("Mul", score, g.numbers(by.a_)), g.numbers(by.b_))
    return g.op("Reciprocal", g.op("Add", g.op("Exp", raised), g.numbers(1.0)))


CALIBRATORS = {"sigmoid": _sigmoid, "isotonic": isotonic}
CLASSIFIERS = {"sklearn.CalibratedClassifierCV": calibrated}
