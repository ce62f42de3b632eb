"""Weighted sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Columns
from loadonce.convert.graphs.scope import Classified, Scope
from loadonce.convert.graphs.scoring import expit, shared_out, softmaxed


def weighted(scope: Scope, columns: Columns, coefficients: Any, intercept: Any) -> str:
    """`[None, n]` of as many rows of coefficients."""
    weights = np.atleast_2d(np.asarray(coefficients, dtype=np.float64)).T
    start = np.broadcast_to(np.asarray(intercept, dtype=np.float64).ravel(), weights.shape[1])
    g = scope.g
    return g.op("Gemm", scope.numbers(columns), g.numbers(weights), g.numbers(start))


def logistic(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """Two classes by the logistic function of one sum, more by softmax."""
    if len(estimator.classes_) > 2:
        return softmaxed(scope, weighted(scope, columns, estimator.coef_, estimator.intercept_))
    return _two(scope, estimator, columns)


def one_against_rest(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """Two classes by the logistic function, more by that of each, shared out."""
    if len(estimator.classes_) <= 2:
        return _two(scope, estimator, columns)
    decision = weighted(scope, columns, estimator.coef_, estimator.intercept_)
    shares = shared_out(scope, expit(scope, decision), len(estimator.classes_))
    return Classified(decision, shares, decision)


def stochastic(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """Stochastic gradient descent: probabilities with the logistic loss only."""
    if estimator.loss == "log_loss":
        return one_against_rest(scope, estimator, columns)
    if estimator.loss == "modified_huber":
        raise scope.refusal("the probabilities of loss='modified_huber' have no conversion")
    return margin(scope, estimator, columns)


def margin(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """Labels without probabilities."""
    sums, classes = np.atleast_2d(estimator.coef_).shape[0], len(estimator.classes_)
    if sums != (1 if classes == 2 else classes):
        raise scope.refusal("it has several outputs")
    if sums == 1:
        both = _both(scope, estimator, columns)
        return Classified(both, None, scope.g.take(both, [1]))
    decision = weighted(scope, columns, estimator.coef_, estimator.intercept_)
    return Classified(decision, None, decision)


def sum_regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The sum itself."""
    coefficients = np.atleast_2d(estimator.coef_)
    if coefficients.shape[0] != 1:
        raise scope.refusal("it has several outputs")
    return weighted(scope, columns, coefficients, estimator.intercept_)


def linked(scope: Scope, estimator: Any, columns: Columns) -> str:
    """A generalised linear model: the sum through the inverse of its link."""
    found = weighted(scope, columns, estimator.coef_, estimator.intercept_)
    return unlinked(scope, estimator._base_loss, found)


def unlinked(scope: Scope, loss: Any, found: str) -> str:
    """The inverse of a loss's link."""
    link = type(loss.link).__name__
    if link == "IdentityLink":
        return found
    if link == "LogLink":
        return scope.g.op("Exp", found)
    raise scope.refusal(f"its link {link} has no conversion")


def _two(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    both = _both(scope, estimator, columns)
    return Classified(both, scope.g.op("Sigmoid", both), scope.g.take(both, [1]))


def _both(scope: Scope, estimator: Any, columns: Columns) -> str:
    """Both sides of the sum from one product: [-sum, sum]."""
    weights = np.atleast_2d(estimator.coef_)
    start = np.asarray(estimator.intercept_).ravel()
    both = weighted(scope, columns, np.vstack([-weights, weights]), [-start[0], start[0]])
    return both


CLASSIFIERS = {
    "sklearn.LogisticRegression": logistic,
    "sklearn.LogisticRegressionCV": logistic,
    "sklearn.SGDClassifier": stochastic,
    "sklearn.Perceptron": margin,
    "sklearn.PassiveAggressiveClassifier": margin,
    "sklearn.LinearSVC": margin,
    "sklearn.RidgeClassifier": margin,
    "sklearn.RidgeClassifierCV": margin,
    "sklearn.LinearDiscriminantAnalysis": logistic,
}
SUMS = (
    *("ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lars"),
    *("LarsCV", "Lasso", "LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "LinearRegression"),
    *("LinearSVR", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV"),
    *("PassiveAggressiveRegressor", "QuantileRegressor", "Ridge", "RidgeCV", "SGDRegressor"),
    "TheilSenRegressor",
)
LINKED = ("GammaRegressor", "PoissonRegressor", "TweedieRegressor")
REGRESSORS = {f"sklearn.{name}": sum_regressor for name in SUMS} | {
    f"sklearn.{name}": linked for name in LINKED
}
