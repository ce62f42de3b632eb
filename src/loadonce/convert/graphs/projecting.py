"""Numbers to fewer or more numbers: selections, projections, products."""

from __future__ import annotations

from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Columns, computed
from loadonce.convert.graphs.scope import Scope


def selector(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """Some of the columns, as they are."""
    if not estimator.__sklearn_tags__().input_tags.allow_nan:
        scope.refuse_missing(columns)
    return tuple(columns[i] for i in estimator.get_support(indices=True).tolist())


def pca(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """The components, the mean taken off; each to variance 1 if asked."""
    g = scope.g
    components = np.asarray(estimator.components_, dtype=np.float64)
    start = -(estimator.mean_.reshape(1, -1) @ components.T)
    scope.refuse_missing(columns)
    found = g.op("Gemm", scope.numbers(columns), g.numbers(components.T), g.numbers(start))
    if estimator.whiten:
        scale = np.sqrt(estimator.explained_variance_)
        found = g.op("Div", found, g.numbers(np.maximum(scale, np.finfo(scale.dtype).eps)))
    return computed(g, found, len(components), False)


def svd(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """The components."""
    g = scope.g
    scope.refuse_missing(columns)
    found = g.op("MatMul", scope.numbers(columns), g.numbers(estimator.components_.T))
    return computed(g, found, len(estimator.components_), False)


def polynomial(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """Products of columns, degree by degree, multiplied from the last factor to the first."""
    g = scope.g
    source = scope.numbers(columns)
    scope.refuse_missing(columns)
    products = estimator._combinations(
        estimator.n_features_in_,
        estimator._min_degree,
        estimator._max_degree,
        estimator.interaction_only,
        estimator.include_bias,
    )
    by_degree: dict[int, list[tuple[int, ...]]] = {}
    for product in products:
        by_degree.setdefault(len(product), []).append(product)
    parts = [_products(scope, source, degree, each) for degree, each in by_degree.items()]
    return computed(g, g.concat(parts), sum(map(len, by_degree.values())), False)


def _products(scope: Scope, source: str, degree: int, products: list[tuple[int, ...]]) -> str:
    g = scope.g
    if degree == 0:  # anything to the power of 0 is 1
        return g.op("Pow", g.take(source, [0]), g.numbers(0.0))
    factors = list(zip(*products, strict=True))
    found = g.take(source, factors[-1])
    for each in factors[-2::-1]:
        found = g.op("Mul", found, g.take(source, each))
    return found


SELECTORS = (
    *("GenericUnivariateSelect", "RFE", "RFECV", "SelectFdr", "SelectFpr", "SelectFromModel"),
    *("SelectFwe", "SelectKBest", "SelectPercentile", "SequentialFeatureSelector"),
    "VarianceThreshold",
)
TRANSFORMERS = {f"sklearn.{name}": selector for name in SELECTORS} | {
    "sklearn.PCA": pca,
    "sklearn.TruncatedSVD": svd,
    "sklearn.PolynomialFeatures": polynomial,
}
