"""scikit-learn's trees and forests: they compare float32 with doubles, and add doubles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Columns
from loadonce.convert.graphs.ensembles import Tree, added, constant, traced
from loadonce.convert.graphs.scope import Classified, Scope
from loadonce.convert.graphs.scoring import (
    from_probabilities,
    not_below,
    remainder,
    softmaxed,
    two_sided,
)

_STEP = 2.0**-4
_MOST_LEAVES = 2**24
"""Up to here float32 holds every whole number: of leaves, and of `_STEP` in their sum."""


def tree_classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """The shares of the classes in the leaf."""
    return _shares(scope, estimator, [estimator], columns)


def forest_classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """The mean of the trees' shares."""
    return _shares(scope, estimator, estimator.estimators_, columns)


def tree_regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The value of the leaf."""
    return _values(scope, estimator, [estimator], columns)


def forest_regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The mean of the trees' values."""
    total = _values(scope, estimator, estimator.estimators_, columns)
    return scope.g.op("Div", total, scope.g.numbers(float(len(estimator.estimators_))))


def boosted_classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """The start plus the trees' values, then the loss's link."""
    g = scope.g
    raw = _boosted(scope, estimator, columns)
    name = type(estimator._loss).__name__
    if name == "HalfMultinomialLoss":
        return softmaxed(scope, raw)
    if name == "ExponentialLoss":
        answer = two_sided(scope, g.op("Mul", raw, g.numbers(2.0)))
    else:
        answer = two_sided(scope, raw)
    return Classified(not_below(scope, raw), answer.probabilities, raw, is_place=True)


def boosted_regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The start plus the trees' values."""
    return _boosted(scope, estimator, columns)


def _sum(scope: Scope, estimator: Any, trees: list[Tree], targets: int, columns: Columns) -> str:
    """The trees' sums in double, of columns rounded to float32 before they are compared.

    In float32 throughout where that gives the same sums: it is faster, and half the size.
    """
    g = scope.g
    traced(scope, columns, trees)
    single = _single(scope, estimator, columns)
    if _adds_exactly(trees):
        return g.cast(added(g, single, columns, _lowered(trees), targets, np.float32), "double")
    return added(g, g.cast(single, "double"), columns, trees, targets, np.float64)


def _single(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The columns as float32, to which the original rounds them."""
    if not estimator.__sklearn_tags__().input_tags.allow_nan:
        scope.refuse_missing(columns)
    return scope.g.cast(scope.numbers(columns), "float")


def _adds_exactly(trees: list[Tree]) -> bool:
    """Whether any sum of leaves is a whole number of `_STEP` that float32 can hold."""
    leaves = [tree.weight[tree.left < 0] / _STEP for tree in trees]
    if not all(np.array_equal(each, np.round(each)) for each in leaves):
        return False
    return sum(float(np.abs(each).max()) for each in leaves) <= _MOST_LEAVES


def _lowered(trees: list[Tree]) -> list[Tree]:
    return [replace(tree, split=_at_most(tree.split)) for tree in trees]


def _at_most(splits: Any) -> Any:
    """The largest float32 at or below each split: no float32 lies between the two."""
    single = splits.astype(np.float32)
    return np.where(single > splits, np.nextafter(single, np.float32(-np.inf)), single)


def _shares(scope: Scope, estimator: Any, trees: list[Any], columns: Columns) -> Classified:
    if estimator.n_outputs_ != 1:
        raise scope.refusal("it has several outputs")
    g = scope.g
    if len(estimator.classes_) != 2:
        total = _sum_by_leaf(scope, estimator, trees, columns)
        return from_probabilities(scope, g.op("Div", total, g.numbers(float(len(trees)))))
    # the first class has what the second leaves: half the work, and a rounding apart
    seconds = [_tree(each.tree_, 0, each.tree_.value[:, 0, 1]) for each in trees]
    share = g.op("Div", _sum(scope, estimator, seconds, 1, columns), g.numbers(float(len(trees))))
    return from_probabilities(scope, remainder(scope, share))


def _sum_by_leaf(scope: Scope, estimator: Any, trees: list[Any], columns: Columns) -> str:
    """The sum of the leaves' rows of shares: each tree is walked once, not once for each class."""
    g = scope.g
    shares, numbered, count = [], [], 0
    for target, each in enumerate(trees):
        is_leaf = each.tree_.children_left < 0
        numbers = count + np.cumsum(is_leaf) - 1
        numbered.append(_tree(each.tree_, target, numbers.astype(np.float64)))
        shares.append(each.tree_.value[is_leaf, 0, :])
        count += len(shares[-1])
    if count > _MOST_LEAVES:
        raise scope.refusal(f"it has {count} leaves")
    traced(scope, columns, numbered)
    single = _single(scope, estimator, columns)
    found = added(g, single, columns, _lowered(numbered), len(trees), np.float32)
    rows = g.op("Gather", g.numbers(np.concatenate(shares)), g.cast(found, "int64"))
    return g.op("ReduceSum", rows, g.integers(1), keepdims=0)


def _values(scope: Scope, estimator: Any, trees: list[Any], columns: Columns) -> str:
    if estimator.n_outputs_ != 1:
        raise scope.refusal("it has several outputs")
    found = [_tree(each.tree_, 0, each.tree_.value[:, 0, 0]) for each in trees]
    return _sum(scope, estimator, found, 1, columns)


def _boosted(scope: Scope, estimator: Any, columns: Columns) -> str:
    start = estimator.init_
    if start != "zero" and type(start).__name__ not in ("DummyClassifier", "DummyRegressor"):
        raise scope.refusal(f"it starts from a {type(start).__name__}")
    blank = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    starts = estimator._raw_predict_init(blank)[0]
    found = [constant(target, float(value)) for target, value in enumerate(starts)]
    for stage in estimator.estimators_:
        for target, each in enumerate(stage):
            values = each.tree_.value[:, 0, 0] * estimator.learning_rate
            found.append(_tree(each.tree_, target, values))
    return _sum(scope, estimator, found, len(starts), columns)


def _tree(tree: Any, target: int, weight: Any) -> Tree:
    return Tree(
        target,
        tree.children_left,
        tree.children_right,
        tree.feature,
        tree.threshold,
        tree.missing_go_to_left.astype(bool),
        weight,
    )


CLASSIFIERS = {
    "sklearn.DecisionTreeClassifier": tree_classifier,
    "sklearn.ExtraTreeClassifier": tree_classifier,
    "sklearn.RandomForestClassifier": forest_classifier,
    "sklearn.ExtraTreesClassifier": forest_classifier,
    "sklearn.GradientBoostingClassifier": boosted_classifier,
}
REGRESSORS = {
    "sklearn.DecisionTreeRegressor": tree_regressor,
    "sklearn.ExtraTreeRegressor": tree_regressor,
    "sklearn.RandomForestRegressor": forest_regressor,
    "sklearn.ExtraTreesRegressor": forest_regressor,
    "sklearn.GradientBoostingRegressor": boosted_regressor,
}
