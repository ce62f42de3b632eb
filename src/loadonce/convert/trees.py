"""Every decision tree inside a fitted estimator, and the transformers in front of it."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Tree:
    """Nodes by number; node 0 is the root. A row goes left if its value is at most the threshold.

    A threshold of infinity asks whether the value is missing.

    Args:
        column: of the transformed row; -1 for leaves, and for nodes that ask for categories.
        threshold: NaN where column is -1.
        left, right: the nodes below; -1 at a leaf.
        missing_left: whether a missing value goes left.
    """

    column: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]

    @functools.cached_property
    def parents(self) -> list[int]:
        """By node: the one above it; the root is its own."""
        parents = [0] * len(self.column)
        for below in (self.left.tolist(), self.right.tolist()):
            for parent, child in enumerate(below):
                if child > 0:
                    parents[child] = parent
        return parents


@dataclass(frozen=True, slots=True, eq=False)
class Grove:
    """Trees that see the same columns.

    Args:
        before: fitted transformers, in order, that make those columns of a raw row.
        trees: all of them.
        is_single: whether the columns are rounded to float32 before they are compared.
    """

    before: tuple[Any, ...]
    trees: tuple[Tree, ...]
    is_single: bool


def groves(estimator: Any, before: tuple[Any, ...] = ()) -> Iterator[Grove]:
    """The trees of pipelines, votes, calibrations, forests and boosted trees."""
    if hasattr(estimator, "steps"):
        steps = [step for _name, step in estimator.steps if step not in (None, "passthrough")]
        yield from groves(steps[-1], (*before, *steps[:-1]))
    elif hasattr(estimator, "calibrated_classifiers_"):
        for each in estimator.calibrated_classifiers_:
            yield from groves(each.estimator, before)
    elif hasattr(estimator, "regressor_"):
        yield from groves(estimator.regressor_, before)
    elif hasattr(estimator, "tree_"):
        yield Grove(before, (_of_sklearn(estimator.tree_),), True)
    elif hasattr(estimator, "_predictors"):
        first = getattr(estimator, "_preprocessor", None)
        made = tuple(_of_histogram(each.nodes) for row in estimator._predictors for each in row)
        yield Grove((*before, first) if first is not None else before, made, False)
    elif hasattr(estimator, "get_booster"):
        yield Grove(before, tuple(_of_xgboost(estimator.get_booster())), True)
    elif hasattr(estimator, "booster_"):
        yield Grove(before, tuple(_of_lightgbm(estimator.booster_)), False)
    else:
        yield from _of_several(estimator, before)


def _of_several(estimator: Any, before: tuple[Any, ...]) -> Iterator[Grove]:
    """Forests and boosters as one grove; votes and stacks one by one."""
    import numpy as np

    if not hasattr(estimator, "estimators_") or hasattr(estimator, "estimators_features_"):
        return  # of bagging: each sees columns of its own
    inner = list(np.ravel(np.array(estimator.estimators_, dtype=object)))
    if all(hasattr(each, "tree_") for each in inner):
        yield Grove(before, tuple(_of_sklearn(each.tree_) for each in inner), True)
        return
    for each in inner:
        yield from groves(each, before)


def _of_sklearn(tree: Any) -> Tree:
    import numpy as np

    is_leaf = tree.children_left == -1
    return Tree(
        np.where(is_leaf, -1, tree.feature).astype(np.int64),
        np.where(is_leaf, np.nan, tree.threshold),
        tree.children_left.astype(np.int64),
        tree.children_right.astype(np.int64),
        tree.missing_go_to_left.astype(np.bool_),
    )


def _of_histogram(nodes: NDArray[Any]) -> Tree:
    """Of HistGradientBoosting, which compares in float64. Its leaves have a left of 0."""
    import numpy as np

    is_leaf = nodes["is_leaf"].astype(bool)
    is_number = ~is_leaf & ~nodes["is_categorical"].astype(bool)
    return Tree(
        np.where(is_number, nodes["feature_idx"].astype(np.int64), -1),
        np.where(is_number, nodes["num_threshold"], np.nan),
        np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        nodes["missing_go_to_left"].astype(np.bool_),
    )


def _of_xgboost(booster: Any) -> Iterator[Tree]:
    """It goes left below the threshold: at most the float32 before it."""
    import numpy as np

    model = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    model = model.get("gbtree", model)  # of DART
    for tree in model.get("model", {}).get("trees", ()):
        left = np.array(tree["left_children"], dtype=np.int64)
        is_number = (left != -1) & (np.array(tree["split_type"]) == 0)
        bounds = np.array(tree["split_conditions"], dtype=np.float32)
        yield Tree(
            np.where(is_number, np.array(tree["split_indices"], dtype=np.int64), -1),
            np.where(is_number, np.nextafter(bounds, np.float32("-inf")), np.nan),
            left,
            np.array(tree["right_children"], dtype=np.int64),
            np.array(tree["default_left"], dtype=np.bool_),
        )


def _of_lightgbm(booster: Any) -> Iterator[Tree]:
    import numpy as np

    for tree in booster.dump_model()["tree_info"]:
        nodes: list[_Node] = []
        _flatten(tree["tree_structure"], nodes)
        column, threshold, left, right, missing_left = zip(*nodes, strict=True)
        yield Tree(
            np.array(column, dtype=np.int64),
            np.array(threshold, dtype=np.float64),
            np.array(left, dtype=np.int64),
            np.array(right, dtype=np.int64),
            np.array(missing_left, dtype=np.bool_),
        )


_Node = tuple[int, float, int, int, bool]


def _flatten(node: Any, nodes: list[_Node]) -> int:
    """Append `node` and all below it; returns its number."""
    number = len(nodes)
    nodes.append((-1, float("nan"), -1, -1, False))
    if "split_feature" in node:
        left = _flatten(node["left_child"], nodes)
        right = _flatten(node["right_child"], nodes)
        is_number = node["decision_type"] == "<="
        column = node["split_feature"] if is_number else -1
        threshold = float(node["threshold"]) if is_number else float("nan")
        # Where no value was missing in training, a missing one counts as 0.
        is_zero = node["missing_type"] == "None"
        missing_left = threshold >= 0 if is_zero else bool(node["default_left"])
        nodes[number] = (column, threshold, left, right, missing_left)
    return number


def transformed(given: Any, before: Sequence[Any], is_single: bool) -> NDArray[Any]:
    """The columns that trees see, of rows as the estimator takes them."""
    import numpy as np

    for step in before:
        given = step.transform(given)
    if hasattr(given, "toarray"):
        given = given.toarray()
    return np.asarray(given).astype(np.float32 if is_single else np.float64)
