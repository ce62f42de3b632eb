"""Whole pipelines, as people write them, and the exactness of what their graphs compare."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    MinMaxScaler,
    OneHotEncoder,
    PowerTransformer,
    StandardScaler,
)

from loadonce.convert.graphs import build
from loadonce.convert.model import Graph

from . import data
from .comparing import compared
from .test_models import EXACT, fitted

UNKNOWN = -1e6


def powered() -> Any:
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        PowerTransformer(),
        MinMaxScaler(clip=True),
        StandardScaler(),
        LogisticRegression(C=0.1),
    )


def levels() -> Any:
    constant = SimpleImputer(strategy="constant", fill_value=UNKNOWN, keep_empty_features=True)
    known = make_pipeline(constant, Binarizer(threshold=UNKNOWN / 2))
    one_hot = make_pipeline(
        constant,
        OneHotEncoder(categories=[[-1.0, 0.0, 1.0]], handle_unknown="ignore", sparse_output=False),
    )
    numbers = make_pipeline(SimpleImputer(), MinMaxScaler(clip=True), StandardScaler())
    columns = [("numbers", numbers, [0, 2]), ("known", known, [2, 3]), ("levels", one_hot, [0])]
    return make_pipeline(ColumnTransformer(columns), LogisticRegression())


def voting() -> Any:
    linear = make_pipeline(StandardScaler(), LogisticRegression())
    trees = GradientBoostingClassifier(n_estimators=9, max_depth=2, random_state=0)
    return make_pipeline(
        SimpleImputer(strategy="median"),
        VotingClassifier([("linear", linear), ("trees", trees)], voting="soft"),
    )


def forest() -> Any:
    trees = RandomForestClassifier(9, random_state=0)
    return make_pipeline(SimpleImputer(), StandardScaler(), trees)


@pytest.mark.parametrize("pipeline", [powered, levels, voting, forest])
def test_a_pipeline_and_its_graph_agree(pipeline: Any) -> None:
    rows = data.numbers(missing=0.1)
    found = compared(fitted(pipeline(), rows, data.two()), rows)
    assert (found.labels, found.refused) == (0, 0)
    assert found.difference < EXACT


def test_a_frame_goes_in_by_the_names_of_its_columns() -> None:
    rows = data.frame()
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
            ("texts", OneHotEncoder(handle_unknown="ignore"), ["city", "plan"]),
        ]
    )
    model = fitted(make_pipeline(columns, LogisticRegression()), rows, data.three())
    graph = build(model, None)
    assert [each.name for each in graph.model.graph.input] == ["X"]
    assert [each.name for each in graph.features] == list(rows.columns)
    assert (graph.named, graph.kind, graph.classes) == (True, "classifier", ["high", "low", "mid"])
    assert graph.features[2].texts[:2] == ("Basel", "Bern")
    assert compared(model, rows, graph).labels == 0


def shifted(graph: Graph) -> Graph:
    """The same graph, its first threshold one float32 lower."""
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    (splits,) = [
        attribute.t
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.name == "nodes_splits"
    ]
    values = onnx.numpy_helper.to_array(splits).copy()
    values[1] = np.nextafter(np.float32(values[1]), np.float32(-np.inf))
    splits.CopyFrom(onnx.numpy_helper.from_array(values))
    return dataclasses.replace(graph, model=model)


@pytest.mark.parametrize("is_shifted", [False, True])
def test_a_threshold_one_float_off_is_caught(is_shifted: bool) -> None:
    """The control: rows at a threshold tell the graph from one that compares a float beside it."""
    rows = data.numbers(2)
    model = HistGradientBoostingRegressor(max_iter=1, max_leaf_nodes=2, min_samples_leaf=9)
    graph = build(fitted(model, rows, data.amounts()), None)
    found = compared(model, rows, shifted(graph) if is_shifted else graph)
    assert (found.difference > EXACT) is is_shifted
