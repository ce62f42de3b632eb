"""scikit-learn's histogram gradient boosting: doubles against double thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Columns
from loadonce.convert.graphs.ensembles import Tree, added, constant, traced
from loadonce.convert.graphs.linear import unlinked
from loadonce.convert.graphs.scope import Classified, Scope
from loadonce.convert.graphs.scoring import softmaxed, two_sided


def classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """Two classes by the logistic function, more by softmax."""
    raw = _raw(scope, estimator, columns)
    if estimator.n_trees_per_iteration_ == 1:
        return two_sided(scope, raw)
    return softmaxed(scope, raw)


def regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The sum through the inverse of the loss's link."""
    return unlinked(scope, estimator._loss, _raw(scope, estimator, columns))


def _raw(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The start plus the trees' values. Missing values have ways of their own in the trees."""
    if estimator._preprocessor is not None:
        columns = scope.transform("categories", estimator._preprocessor, columns)
    start = np.asarray(estimator._baseline_prediction, dtype=np.float64).ravel()
    trees = [constant(target, value) for target, value in enumerate(start.tolist())]
    for stage in estimator._predictors:
        trees += [_tree(predictor, target) for target, predictor in enumerate(stage)]
    traced(scope, columns, trees)
    return added(scope.g, scope.numbers(columns), columns, trees, len(start), np.float64)


def _tree(predictor: Any, target: int) -> Tree:
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    members = tuple(
        (node, _members(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]))
        for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~is_leaf).tolist()
    )
    return Tree(
        target,
        np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        nodes["feature_idx"].astype(np.int64),
        nodes["num_threshold"],
        nodes["missing_go_to_left"].astype(bool),
        nodes["value"],
        members=members,
    )


def _members(bits: Any) -> tuple[int, ...]:
    """The categories in a set of 256 bits."""
    return tuple(value for value in range(256) if int(bits[value // 32]) >> (value % 32) & 1)


CLASSIFIERS = {"sklearn.HistGradientBoostingClassifier": classifier}
REGRESSORS = {"sklearn.HistGradientBoostingRegressor": regressor}
