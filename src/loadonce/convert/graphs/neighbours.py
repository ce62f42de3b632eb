"""The nearest rows of the training, by distances to all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Columns
from loadonce.convert.graphs.scope import Classified, Scope
from loadonce.convert.graphs.scoring import from_probabilities

MOST_VALUES = 250_000
"""Of the training's rows: every request compares with all of them."""


def classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """The shares of the classes among the nearest."""
    if estimator.outputs_2d_:
        raise scope.refusal("it has several outputs")
    votes = np.eye(len(estimator.classes_))[np.asarray(estimator._y).ravel()]
    return from_probabilities(scope, _mean(scope, estimator, columns, votes))


def regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The mean of the nearest."""
    values = np.asarray(estimator._y, dtype=np.float64).reshape(len(estimator._fit_X), -1)
    if values.shape[1] != 1:
        raise scope.refusal("it has several outputs")
    return _mean(scope, estimator, columns, values)


def _mean(scope: Scope, estimator: Any, columns: Columns, values: Any) -> str:
    """The (weighted) mean of `values`, a row for each row of the training: `[None, n]`."""
    g = scope.g
    if estimator.weights not in (None, "uniform", "distance"):
        raise scope.refusal("weights of one's own have no conversion")
    distances, places = g.smallest(_distances(scope, estimator, columns), estimator.n_neighbors)
    nearest = g.op("Gather", g.numbers(values), places)
    axis = g.integers(1)
    if estimator.weights != "distance":
        total = g.op("ReduceSum", nearest, axis, keepdims=0)
        return g.op("Div", total, g.numbers(float(estimator.n_neighbors)))
    weights = _weights(scope, distances)
    deep = g.op("Unsqueeze", weights, g.integers(2))
    total = g.op("ReduceSum", g.op("Mul", nearest, deep), axis, keepdims=0)
    return g.op("Div", total, g.op("ReduceSum", weights, axis))


def _weights(scope: Scope, distances: str) -> str:
    """The reciprocals of the distances; where some are 0, those alone count."""
    g = scope.g
    same = g.cast(g.op("Equal", distances, g.numbers(0.0)), "double")
    any_same = g.op("Greater", g.op("ReduceSum", same, g.integers(1)), g.numbers(0.0))
    return g.op("Where", any_same, same, g.op("Reciprocal", distances))


def _distances(scope: Scope, estimator: Any, columns: Columns) -> str:
    metric = {"euclidean": 2, "l2": 2, "manhattan": 1, "l1": 1, "cityblock": 1}
    power = estimator.p if estimator.metric == "minkowski" else metric.get(estimator.metric)
    if power not in (1, 2) or estimator.metric_params:
        raise scope.refusal(f"metric={estimator.metric!r} has no conversion")
    known = np.asarray(estimator._fit_X, dtype=np.float64)
    if known.size > MOST_VALUES:
        raise scope.refusal(f"it compares every row with {known.size} values")
    g = scope.g
    scope.refuse_missing(columns)
    deep = g.op("Unsqueeze", scope.numbers(columns), g.integers(1))
    apart = g.op("Sub", deep, g.numbers(known))
    length = "ReduceL1" if power == 1 else "ReduceSumSquare"
    found = g.op(length, apart, g.integers(2), keepdims=0)
    return found if power == 1 else g.op("Sqrt", found)


CLASSIFIERS = {"sklearn.KNeighborsClassifier": classifier}
REGRESSORS = {"sklearn.KNeighborsRegressor": regressor}
