"""Sums of decision trees as one operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadonce.convert.graphs.building import Builder, tensor
from loadonce.convert.graphs.columns import Columns, lacks
from loadonce.convert.graphs.scope import Scope

AT_MOST, BELOW, MEMBER = 0, 1, 6
"""How a node compares: go left where the value is at most, or below, its split, or in its set."""

_MANY = 2**13
"""Nodes, all trees together, from which on it pays to negate the columns first: 1.3 us a call."""

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Nodes by number; node 0 is the root.

    Args:
        target: the output that the leaves add to.
        left, right: the nodes below; -1 at a leaf.
        feature: the column that a node compares.
        split: what it compares with.
        missing_left: whether NaN goes left.
        weight: by node: what a leaf adds.
        mode: how all nodes compare, except those with `members`.
        members: by node: the categories that go left.
    """

    target: int
    left: Array
    right: Array
    feature: Array
    split: Array
    missing_left: Array
    weight: Array
    mode: int = AT_MOST
    members: tuple[tuple[int, tuple[int, ...]], ...] = ()


def constant(target: int, weight: float) -> Tree:
    """A tree of one leaf: where a sum starts."""
    none, zero = np.full(1, -1), np.zeros(1)
    return Tree(target, none, none, np.zeros(1, dtype=np.int64), zero, zero, np.full(1, weight))


def added(
    g: Builder, source: str, columns: Columns, trees: Sequence[Tree], targets: int, dtype: type
) -> str:
    """The sums of the leaves that each row of `source` reaches: `[None, targets]`.

    The trees are added in their order, in `dtype`.

    Args:
        source: the columns as one tensor, in `dtype`.
    """
    are_turned = sum(np.count_nonzero(tree.left >= 0) for tree in trees) >= _MANY
    flat = [_flat(tree, len(columns) if are_turned else 0, dtype) for tree in trees]
    if are_turned:
        source = g.concat([source, g.op("Neg", source)])
    nodes = np.cumsum([0, *(len(each.feature) for each in flat)])
    leaves = np.cumsum([0, *(len(each.weight) for each in flat)])
    joined = partial(_joined, flat)

    def pointers(name: str, is_leaf: str) -> list[int]:
        found = [
            getattr(each, name) + np.where(getattr(each, is_leaf), leaf, node)
            for each, node, leaf in zip(flat, nodes, leaves, strict=False)
        ]
        return [int(each) for each in np.concatenate(found)]

    return g.ml(
        "TreeEnsemble",
        source,
        n_targets=targets,
        aggregate_function=1,
        post_transform=0,
        tree_roots=nodes[:-1].tolist(),
        nodes_featureids=joined("feature").tolist(),
        nodes_modes=tensor(joined("mode").astype(np.uint8)),
        nodes_splits=tensor(joined("split").astype(dtype)),
        nodes_truenodeids=pointers("left", "left_is_leaf"),
        nodes_falsenodeids=pointers("right", "right_is_leaf"),
        nodes_trueleafs=joined("left_is_leaf").astype(np.int64).tolist(),
        nodes_falseleafs=joined("right_is_leaf").astype(np.int64).tolist(),
        leaf_targetids=[
            tree.target for tree, each in zip(trees, flat, strict=True) for _ in each.weight
        ],
        leaf_weights=tensor(joined("weight").astype(dtype)),
        **_extras(flat, dtype, may_lack=lacks(columns)),
    )


def _joined(flat: Sequence[_Flat], name: str) -> Array:
    return np.concatenate([getattr(each, name) for each in flat])


def _extras(flat: Sequence[_Flat], dtype: type, *, may_lack: bool) -> dict[str, Any]:
    """What the operator is told only where there is something to tell, for it looks then."""
    found: dict[str, Any] = {}
    members = [value for each in flat for one in each.members for value in (*one, np.nan)]
    if members:
        found["membership_values"] = tensor(np.asarray(members, dtype=dtype))
    missing_left = _joined(flat, "missing_left")
    if may_lack and np.any(missing_left):
        found["nodes_missing_value_tracks_true"] = missing_left.astype(np.int64).tolist()
    return found


def traced(scope: Scope, columns: Columns, trees: Sequence[Tree]) -> None:
    """Note the values that the trees compare columns with."""
    for tree in trees:
        inner = tree.left >= 0
        inner[[node for node, _ in tree.members]] = False
        for feature in np.unique(tree.feature[inner]):
            splits = tree.split[inner & (tree.feature == feature)]
            scope.trace(columns[feature], splits.tolist())


@dataclass(frozen=True, slots=True, eq=False)
class _Flat:
    """A tree's inner nodes and its leaves, each numbered by themselves.

    Every node asks whether a value is at most its split, or in its set. NaN is neither, and goes
    right; `missing_left` tells where it does not. Of many nodes, none of these is left: they ask of
    the negated value, and have their ways exchanged. So the operator need not look for NaN; and
    most rows go the same way as NaN does, right, which is what lies next to the node in memory. A
    forest of 200 trees answers in half the time.
    """

    feature: Array
    mode: Array
    split: Array
    left: Array
    right: Array
    left_is_leaf: Array
    right_is_leaf: Array
    missing_left: Array
    weight: Array
    members: tuple[tuple[int, ...], ...]


def _flat(tree: Tree, width: int, dtype: type) -> _Flat:
    """Of columns that are followed by as many negated ones, or with width 0 are not."""
    is_leaf = tree.left < 0
    if is_leaf[0]:
        return _lone(tree.weight[:1])
    is_set, is_below = np.zeros(len(is_leaf), dtype=bool), np.full(len(is_leaf), tree.mode == BELOW)
    split: Array = tree.split.astype(dtype)
    is_nowhere = np.isnan(split)  # as one between the infinities may be
    for node, values in tree.members:  # the operator wants a member
        is_set[node], is_nowhere[node] = bool(values), not values
    split[is_nowhere], is_below[is_nowhere] = -np.inf, True  # nothing is below that
    turned = tree.missing_left & ~is_set & (width > 0)
    left, right = np.where(turned, (tree.right, tree.left), (tree.left, tree.right))
    number = np.where(is_leaf, np.cumsum(is_leaf) - 1, np.cumsum(~is_leaf) - 1)
    inner = np.flatnonzero(~is_leaf)
    left, right = left[inner], right[inner]
    return _Flat(
        (tree.feature + np.where(turned, width, 0))[inner],
        np.where(is_set, MEMBER, AT_MOST)[inner],
        _at_most(split, is_below, turned)[inner],
        number[left],
        number[right],
        is_leaf[left],
        is_leaf[right],
        (tree.missing_left & ~turned)[inner],
        tree.weight[is_leaf],
        tuple(values for _, values in sorted(tree.members) if values),
    )


def _at_most(split: Array, is_below: Array, turned: Array) -> Array:
    """What a value, or where `turned` its negative, is to be at most, for the same ways.

    NaN, which nothing is at most, where it would have to be below minus infinity.
    """
    split = np.where(turned, -split, split)
    below = np.nextafter(split, split.dtype.type(-np.inf))
    below[np.isneginf(split)] = np.nan
    return np.where(turned == is_below, split, below)


def _lone(weight: Array) -> _Flat:
    """A node with the same leaf on both sides: the operator wants a node."""
    zero, yes = np.zeros(1, dtype=np.int64), np.ones(1, dtype=bool)
    return _Flat(zero, zero, np.zeros(1), zero, zero, yes, yes, ~yes, weight, ())
