"""A builder of graphs for the tests: scalers in float64, one tree or a linear model, as ONNX."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from loadonce.convert.model import Feature, Graph


def build(estimator: Any, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    """A StandardScaler and a decision tree of two classes or of values, exactly."""
    return _graph(estimator, names, _nodes(estimator[-1].tree_))


def off(estimator: Any, node: int) -> Graph:
    """The same, but for the threshold of one node, which is one float32 too high."""
    nodes = _nodes(estimator[-1].tree_)
    step = np.nextafter(np.float32(nodes["nodes_values"][node]), np.float32("inf"))
    nodes["nodes_values"][node] = step
    return _graph(estimator, None, nodes)


def one_step_off(estimator: Any, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    """The same, deep in the tree."""
    return off(estimator, int(np.flatnonzero(estimator[-1].tree_.children_left != -1)[-1]))


def astray(estimator: Any, node: int) -> Graph:
    """The same, but where one node sends a missing value."""
    nodes = _nodes(estimator[-1].tree_)
    nodes["nodes_missing_value_tracks_true"][node] ^= 1
    return _graph(estimator, None, nodes)


def swapped(estimator: Any, names: Sequence[str] | None, text: Collection[str] = ()) -> Graph:
    """The labels the wrong way round; values negated."""
    return _graph(estimator, names, _nodes(estimator[-1].tree_, sign=-1.0))


def _nodes(tree: Any, sign: float = 1.0) -> dict[str, Any]:
    is_leaf = tree.children_left == -1
    single = tree.threshold.astype(np.float32)
    single = np.where(single > tree.threshold, np.nextafter(single, np.float32("-inf")), single)
    value = tree.value[:, 0, -1] / (tree.value[:, 0].sum(axis=1) if tree.n_classes[0] > 1 else 1)
    leaves = np.flatnonzero(is_leaf)
    return {
        "nodes_nodeids": list(range(tree.node_count)),
        "nodes_treeids": [0] * tree.node_count,
        "nodes_featureids": [max(0, each) for each in tree.feature.tolist()],
        "nodes_values": np.where(is_leaf, 0, single).tolist(),
        "nodes_modes": ["LEAF" if each else "BRANCH_LEQ" for each in is_leaf],
        "nodes_missing_value_tracks_true": tree.missing_go_to_left.astype(int).tolist(),
        "nodes_truenodeids": np.maximum(tree.children_left, 0).tolist(),
        "nodes_falsenodeids": np.maximum(tree.children_right, 0).tolist(),
        "target_ids": [0] * len(leaves),
        "target_nodeids": leaves.tolist(),
        "target_treeids": [0] * len(leaves),
        "target_weights": (sign * value[leaves]).tolist(),
    }


def _graph(estimator: Any, names: Sequence[str] | None, nodes: dict[str, Any]) -> Graph:
    scaler, tree = estimator[0], estimator[-1]
    names = list(getattr(estimator, "feature_names_in_", names or ())) or None
    count = tree.n_features_in_
    features = tuple(Feature(name, "number") for name in names or [f"x{i}" for i in range(count)])
    steps = [
        helper.make_node("Sub", ["X", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
        helper.make_node("Cast", ["scaled"], ["single"], to=TensorProto.FLOAT),
        helper.make_node(
            "TreeEnsembleRegressor",
            ["single"],
            ["column"],
            domain="ai.onnx.ml",
            n_targets=1,
            **nodes,
        ),
    ]
    is_classifier = hasattr(tree, "classes_")
    if is_classifier:
        steps += [
            helper.make_node("Sub", ["one", "column"], ["other"]),
            helper.make_node("Concat", ["other", "column"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
        ]
        outputs = [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ]
    else:
        steps.append(helper.make_node("Identity", ["column"], ["value"]))
        outputs = [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])]
    constants = {
        "mean": scaler.mean_,
        "scale": scaler.scale_,
        "one": np.ones(1, dtype=np.float32),
    }
    graph = helper.make_graph(
        steps,
        "test",
        [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, count])],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=10,
    )
    return Graph(
        model=model,
        features=features,
        named=names is not None,
        kind="classifier" if is_classifier else "regressor",
        classes=tree.classes_.tolist() if is_classifier else None,
        classes_dtype=str(tree.classes_.dtype) if is_classifier else None,
        value_dtype="float64",
        thresholds={},
    )
