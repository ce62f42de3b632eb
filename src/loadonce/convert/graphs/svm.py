"""Support vector machines with kernels: all kernel values, then weighted sums of them."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Columns
from loadonce.convert.graphs.scope import Classified, Scope
from loadonce.convert.graphs.scoring import not_below


def classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """Two classes by the sign of one sum; more by votes of every pair."""
    if estimator.probability is True:
        raise scope.refusal("probability=True couples pairs by iteration, which has no conversion")
    kernel = _kernel(scope, estimator, columns)
    if len(estimator.classes_) > 2:
        return _voted(scope, estimator, kernel)
    decision = _sums(scope, kernel, estimator.dual_coef_.T, estimator.intercept_)
    return Classified(not_below(scope, decision), None, decision, is_place=True)


def regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The weighted sum."""
    kernel = _kernel(scope, estimator, columns)
    return _sums(scope, kernel, estimator.dual_coef_.T, estimator.intercept_)


def _kernel(scope: Scope, estimator: Any, columns: Columns) -> str:
    """`[None, support vectors]`."""
    if not isinstance(estimator.kernel, str) or estimator.kernel == "precomputed":
        raise scope.refusal("a kernel of one's own has no conversion")
    if hasattr(estimator.support_vectors_, "toarray"):
        raise scope.refusal("it was trained on a sparse matrix")
    g = scope.g
    scope.refuse_missing(columns)
    source = scope.numbers(columns)
    vectors = np.asarray(estimator.support_vectors_, dtype=np.float64)
    gamma = float(estimator._gamma)
    if estimator.kernel == "linear":
        return g.op("MatMul", source, g.numbers(vectors.T))
    if estimator.kernel == "rbf":
        squares = g.op("ReduceSumSquare", source, g.integers(1))
        lengths = g.numbers(-gamma * (vectors**2).sum(axis=1))
        near = g.op("Gemm", source, g.numbers(2 * gamma * vectors.T), lengths)
        return g.op("Exp", g.op("Sub", near, g.op("Mul", squares, g.numbers(gamma))))
    start = g.numbers(np.full(len(vectors), float(estimator.coef0)))
    found = g.op("Gemm", source, g.numbers(gamma * vectors.T), start)
    if estimator.kernel == "poly":
        return g.op("Pow", found, g.numbers(float(estimator.degree)))
    return g.op("Tanh", found)


def _sums(scope: Scope, kernel: str, weights: Any, start: Any) -> str:
    g = scope.g
    return g.op("Gemm", kernel, g.numbers(weights), g.numbers(np.asarray(start).ravel()))


def _voted(scope: Scope, estimator: Any, kernel: str) -> Classified:
    """Each pair of classes has a sum of its own, over the vectors of the two."""
    g = scope.g
    classes = len(estimator.classes_)
    pairs = list(combinations(range(classes), 2))
    ends = np.cumsum([0, *estimator._n_support])
    weights = np.zeros((len(estimator.support_vectors_), len(pairs)))
    sides = np.zeros((len(pairs), classes))
    for k, (i, j) in enumerate(pairs):
        mine, theirs = slice(ends[i], ends[i + 1]), slice(ends[j], ends[j + 1])
        weights[mine, k] = estimator._dual_coef_[j - 1, mine]
        weights[theirs, k] = estimator._dual_coef_[i, theirs]
        sides[k, i], sides[k, j] = 1.0, -1.0
    pairwise = _sums(scope, kernel, weights, estimator._intercept_)
    first = g.cast(g.op("Greater", pairwise, g.numbers(0.0)), "double")
    seconds = g.numbers((sides < 0).sum(axis=0).astype(float))
    votes = g.op("Gemm", first, g.numbers(sides), seconds)
    decision = pairwise
    if estimator.decision_function_shape == "ovr":
        decision = _tie_breaking(scope, pairwise, sides, votes)
    ranked = decision if estimator.break_ties else votes
    g.widths[decision] = classes if estimator.decision_function_shape == "ovr" else len(pairs)
    return Classified(ranked, None, decision)


def _tie_breaking(scope: Scope, pairwise: str, sides: Any, votes: str) -> str:
    """The votes, moved by less than a third towards where the sums point."""
    g = scope.g
    total = g.op("MatMul", pairwise, g.numbers(sides))
    bound = g.op("Add", g.op("Abs", total), g.numbers(1.0))
    return g.op("Add", votes, g.op("Div", total, g.op("Mul", bound, g.numbers(3.0))))


CLASSIFIERS = {"sklearn.SVC": classifier, "sklearn.NuSVC": classifier}
REGRESSORS = {"sklearn.SVR": regressor, "sklearn.NuSVR": regressor}
