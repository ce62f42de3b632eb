"""LightGBM: double throughout. Its text form holds every digit, which its JSON does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Column, Columns, computed
from loadonce.convert.graphs.encoding import looked_up
from loadonce.convert.graphs.ensembles import Tree, added, traced
from loadonce.convert.graphs.scope import Classified, Scope
from loadonce.convert.graphs.scoring import expit, from_probabilities, remainder

IDENTITY = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "multiclass")
EXPONENTIAL = ("poisson", "gamma", "tweedie")
_CATEGORICAL, _DEFAULT_LEFT, _ZERO, _NAN = 1, 2, 4, 8
"""Bits of how a node decides."""

_NEARLY_ZERO = float(np.float32(1e-35))

Texts = dict[str, str]


def classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """Two classes by the logistic function, more by softmax."""
    g = scope.g
    raw, objective = _sums(scope, estimator, columns)
    if objective[0] == "multiclass":
        return from_probabilities(scope, g.op("Softmax", raw, axis=1))
    if objective[0] != "binary":
        raise scope.refusal(f"objective {objective[0]} gives no probabilities")
    slope = float(objective[1].removeprefix("sigmoid:"))
    share = expit(scope, g.op("Mul", raw, g.numbers(slope)))
    return from_probabilities(scope, remainder(scope, share))


def regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The sum through its objective's link."""
    raw, objective = _sums(scope, estimator, columns)
    return scope.g.op("Exp", raw) if objective[0] in EXPONENTIAL else raw


def _sums(scope: Scope, estimator: Any, columns: Columns) -> tuple[str, list[str]]:
    """The trees' sums, and the objective with its parameters."""
    head, *blocks = estimator.booster_.model_to_string().split("\nTree=")
    model = _lines(head)
    objective = model.get("objective", "custom").split()
    if objective[0] not in (*IDENTITY, *EXPONENTIAL, "binary") or "sqrt" in objective:
        raise scope.refusal(f"objective {' '.join(objective)} has no conversion")
    columns = _categories(scope, estimator.booster_.pandas_categorical or [], model, columns)
    per_round = int(model["num_tree_per_iteration"])
    trees = [_tree(scope, _lines(each), i % per_round) for i, each in enumerate(blocks)]
    columns = _truncated(scope, trees, columns)
    traced(scope, columns, trees)
    found = added(scope.g, scope.numbers(columns), columns, trees, per_round, np.float64)
    if "average_output" in head.splitlines():
        found = scope.g.op("Div", found, scope.g.numbers(float(len(trees) // per_round)))
    return found, objective


def _lines(text: str) -> Texts:
    pairs = (line.partition("=") for line in text.split("\n\n")[0].splitlines())
    return {name: value for name, _, value in pairs}


def _categories(scope: Scope, known: list[Any], model: Texts, columns: Columns) -> Columns:
    """Columns of pandas' categories as their codes; unknown ones are missing."""
    if not known:
        return columns
    infos = model["feature_infos"].split(" ")
    places = [i for i, info in enumerate(infos) if not info.startswith(("[", "none"))]
    if len(places) != len(known):
        raise scope.refusal("which of its features are categories is not recorded")
    found: list[Column] = list(columns)
    for place, values in zip(places, known, strict=True):
        codes = np.arange(len(values), dtype=np.float64)
        found[place] = looked_up(scope, columns[place], values, codes, np.nan)
    return tuple(found)


def _truncated(scope: Scope, trees: Sequence[Tree], columns: Columns) -> Columns:
    """Without the fractions of what is looked for in sets: LightGBM reads it as a whole number."""
    g = scope.g
    found: list[Column] = list(columns)
    for place in sorted({int(tree.feature[node]) for tree in trees for node, _ in tree.members}):
        value = scope.numbers((columns[place],))
        whole = g.op("Mul", g.op("Sign", value), g.op("Floor", g.op("Abs", value)))
        found[place] = computed(g, whole, 1, columns[place].may_lack)[0]
    return tuple(found)


def _tree(scope: Scope, fields: Texts, target: int) -> Tree:
    """The inner nodes first, then the leaves, which are numbered from -1 down."""
    if fields.get("is_linear", "0") != "0":
        raise scope.refusal("linear_tree=True has no conversion")
    decisions = _array(fields, "decision_type", int)
    if np.any(decisions & _ZERO):
        raise scope.refusal("zero_as_missing=True has no conversion")
    leaves = _array(fields, "leaf_value", float)
    inner, ends = len(decisions), np.full(len(leaves), -1)
    splits = _apart_from_zero(_array(fields, "threshold", float))
    is_set = decisions & _CATEGORICAL > 0
    own_way = (decisions & _DEFAULT_LEFT > 0) & (decisions & _NAN > 0)
    as_zero = (decisions & _NAN == 0) & (splits >= 0)  # where NaN is read as 0
    nothing = np.zeros(len(leaves))
    children = [_array(fields, name, int) for name in ("left_child", "right_child")]
    left, right = (np.where(each < 0, inner - 1 - each, each) for each in children)
    return Tree(
        target,
        np.concatenate([left, ends]),
        np.concatenate([right, ends]),
        np.concatenate([_array(fields, "split_feature", int), nothing.astype(int)]),
        np.concatenate([np.where(is_set, 0.0, splits), nothing]),
        np.concatenate([(own_way | as_zero) & ~is_set, nothing > 0]),
        np.concatenate([np.zeros(inner), leaves]),
        members=tuple(
            (node, _members(fields, int(splits[node]))) for node in np.flatnonzero(is_set).tolist()
        ),
    )


def _apart_from_zero(splits: Any) -> Any:
    """As if the values within `_NEARLY_ZERO` were 0, which is how LightGBM reads its rows."""
    near = np.abs(splits) <= _NEARLY_ZERO
    below = np.nextafter(-_NEARLY_ZERO, -np.inf)
    return np.where(near, np.where(splits < 0, below, _NEARLY_ZERO), splits)


def _array(fields: Texts, name: str, dtype: type) -> Any:
    return np.asarray(fields.get(name, "").split(), dtype=dtype)


def _members(fields: Texts, number: int) -> tuple[int, ...]:
    """The categories in a set of bits, 32 in a word."""
    start, end = _array(fields, "cat_boundaries", int)[number : number + 2].tolist()
    words = _array(fields, "cat_threshold", int)[start:end].tolist()
    return tuple(i for i in range(32 * len(words)) if words[i // 32] >> (i % 32) & 1)


CLASSIFIERS = {"lightgbm.LGBMClassifier": classifier}
REGRESSORS = {"lightgbm.LGBMRegressor": regressor}
