"""Gaussian naive Bayes, and layers of sums: multi-layer perceptrons."""

from __future__ import annotations

from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Columns
from loadonce.convert.graphs.scope import Classified, Scope
from loadonce.convert.graphs.scoring import from_probabilities, remainder, softmaxed


def gaussian(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """The classes' densities times their shares."""
    g = scope.g
    variances = np.asarray(estimator.var_, dtype=np.float64)
    start = np.log(estimator.class_prior_) - 0.5 * np.log(2 * np.pi * variances).sum(axis=1)
    deep = g.op("Unsqueeze", scope.numbers(columns), g.integers(1))
    apart = g.op("Sub", deep, g.numbers(estimator.theta_))
    terms = g.op("Div", g.op("Mul", apart, apart), g.numbers(variances))
    total = g.op("ReduceSum", terms, g.integers(2), keepdims=0)
    joint = g.op("Sub", g.numbers(start), g.op("Mul", total, g.numbers(0.5)))
    found = softmaxed(scope, joint)
    return Classified(found.label, found.probabilities)


def perceptron_classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """The last layer's logistic function or softmax."""
    g = scope.g
    found = _layers(scope, estimator, columns)
    if estimator.out_activation_ == "softmax":
        return from_probabilities(scope, g.op("Softmax", found, axis=1))
    if estimator.n_outputs_ > 1:
        raise scope.refusal("it has several outputs")
    return from_probabilities(scope, remainder(scope, g.op("Sigmoid", found)))


def perceptron_regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The last layer."""
    if estimator.n_outputs_ > 1 or estimator.out_activation_ != "identity":
        raise scope.refusal("it has several outputs, or one through a link")
    return _layers(scope, estimator, columns)


def _layers(scope: Scope, estimator: Any, columns: Columns) -> str:
    g = scope.g
    scope.refuse_missing(columns)
    found = scope.numbers(columns)
    operator = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "identity": "Identity"}
    layers = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
    for number, (weights, start) in enumerate(layers):
        found = g.op("Gemm", found, g.numbers(weights), g.numbers(start))
        if number < len(layers) - 1 and estimator.activation != "identity":
            found = g.op(operator[estimator.activation], found)
    return found


CLASSIFIERS = {
    "sklearn.GaussianNB": gaussian,
    "sklearn.MLPClassifier": perceptron_classifier,
}
REGRESSORS = {"sklearn.MLPRegressor": perceptron_regressor}
