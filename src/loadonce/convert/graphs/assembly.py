"""The whole graph: inputs, the estimator's conversion, outputs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from loadonce.convert.graphs import (
    averaging,
    calibrating,
    composing,
    densities,
    encoding,
    histograms,
    imputing,
    lgbm,
    linear,
    neighbours,
    projecting,
    scaling,
    stacking,
    svm,
    trees,
    xgb,
)
from loadonce.convert.graphs.building import TENSOR_TYPES
from loadonce.convert.graphs.columns import Column, Columns, Input
from loadonce.convert.graphs.scope import Scope, Tables
from loadonce.convert.model import Feature, Graph, Unconvertible

TABLES = Tables(
    composing.TRANSFORMERS
    | encoding.TRANSFORMERS
    | imputing.TRANSFORMERS
    | projecting.TRANSFORMERS
    | scaling.TRANSFORMERS,
    composing.CLASSIFIERS
    | averaging.CLASSIFIERS
    | calibrating.CLASSIFIERS
    | densities.CLASSIFIERS
    | histograms.CLASSIFIERS
    | lgbm.CLASSIFIERS
    | linear.CLASSIFIERS
    | neighbours.CLASSIFIERS
    | stacking.CLASSIFIERS
    | svm.CLASSIFIERS
    | trees.CLASSIFIERS
    | xgb.CLASSIFIERS,
    composing.REGRESSORS
    | averaging.REGRESSORS
    | densities.REGRESSORS
    | histograms.REGRESSORS
    | lgbm.REGRESSORS
    | linear.REGRESSORS
    | neighbours.REGRESSORS
    | stacking.REGRESSORS
    | svm.REGRESSORS
    | trees.REGRESSORS
    | xgb.REGRESSORS,
)
Output = tuple[str, int, list[Any]]


def assembled(estimator: Any, feature_names: Sequence[str] | None, text: Collection[str]) -> Graph:
    """See `loadonce.convert.graphs.build`."""
    kind = getattr(estimator, "_estimator_type", None) or _kind(estimator)
    if not hasattr(estimator, "n_features_in_"):
        name = type(estimator).__name__
        raise Unconvertible(f"{name}: it does not tell its number of features; is it fitted?")
    names = _names(estimator, feature_names)
    named = names is not None
    inputs = [Input(name) for name in names or _numbered(estimator)]
    scope = Scope(TABLES, inputs)
    for number, each in enumerate(inputs):
        if each.name in text:
            scope.use(number, "text")
    columns = _columns(scope, named)
    if kind == "classifier":
        outputs = _classified(scope, estimator, columns)
    else:
        value = scope.answered(scope.regress("", estimator, columns))
        outputs = {"value": (_flat(scope, value), int(TensorProto.DOUBLE), [None])}
    return _graph(scope, estimator, kind, named, outputs)


def _kind(estimator: Any) -> str:
    try:
        kind = estimator.__sklearn_tags__().estimator_type
    except AttributeError:
        kind = None
    if kind not in ("classifier", "regressor"):
        name = type(estimator).__name__
        raise Unconvertible(
            f"{name}: it is neither a classifier nor a regressor of scikit-learn's kind"
        )
    return str(kind)


def _names(estimator: Any, given: Sequence[str] | None) -> list[str] | None:
    learnt = getattr(estimator, "feature_names_in_", None)
    if given is None:
        names = None if learnt is None else [str(name) for name in learnt]
    else:
        names = list(given)
        if len(names) != estimator.n_features_in_:
            raise Unconvertible(
                f"{len(names)} feature names were given for {estimator.n_features_in_} features"
            )
    taken = {"label", "probabilities", "scores", "value"} & set(names or ())
    if taken:
        raise Unconvertible(f"a feature is called '{min(taken)}', as an output of the graph is")
    if names and len(set(names)) < len(names):
        raise Unconvertible("two features have the same name")
    return names


def _numbered(estimator: Any) -> list[str]:
    return [f"x{number}" for number in range(estimator.n_features_in_)]


def _columns(scope: Scope, named: bool) -> Columns:
    widths = scope.g.widths
    if not named:
        widths["X"] = len(scope.inputs)
        return tuple(Column("X", i, feature=i, origin=i) for i in range(len(scope.inputs)))
    widths.update((each.name, 1) for each in scope.inputs)
    return tuple(Column(each.name, 0, feature=i, origin=i) for i, each in enumerate(scope.inputs))


def _flat(scope: Scope, value: str) -> str:
    return scope.g.op("Reshape", value, scope.g.integers(-1))


def _classified(scope: Scope, estimator: Any, columns: Columns) -> dict[str, Output]:
    found = scope.classify("", estimator, columns)
    label, kind = _label(scope, estimator.classes_, found.index)
    outputs: dict[str, Output] = {"label": (label, kind, [None])}
    if found.probabilities is None:
        scores = scope.answered(str(found.decision))
        return outputs | {"scores": (scores, TensorProto.DOUBLE, [None, None])}
    probabilities = scope.answered(found.probabilities)
    shape = [None, len(estimator.classes_)]
    return outputs | {"probabilities": (probabilities, TensorProto.DOUBLE, shape)}


def _label(scope: Scope, classes: Any, index: str) -> tuple[str, int]:
    """The classes themselves, as integers or as texts."""
    values = np.asarray(classes)
    if values.dtype.kind in "biuf" and np.all(values == values.astype(np.int64)):
        numbers = values.astype(np.int64)
        if np.array_equal(numbers, np.arange(len(numbers))):
            return index, TensorProto.INT64
        return scope.g.op("Gather", scope.g.constant(numbers), index), TensorProto.INT64
    if all(isinstance(value, str) for value in values.tolist()):
        return scope.g.op("Gather", scope.g.constant(values), index), TensorProto.STRING
    raise Unconvertible("its classes are neither integers nor texts")


def _graph(
    scope: Scope, estimator: Any, kind: Any, named: bool, outputs: dict[str, Output]
) -> Graph:
    features = tuple(
        Feature(
            each.name,
            "text" if each.type == "text" else "number",
            tuple(each.categories),
            tuple(sorted(each.thresholds)),
        )
        for each in scope.inputs
    )
    if not named and any(feature.type == "text" for feature in features):
        raise Unconvertible("it was trained on text without feature names; give feature_names")
    classes = estimator.classes_ if kind == "classifier" else None
    types = {element for _, element, _ in outputs.values()}
    return Graph(
        scope.g.model(_inputs(features, named), outputs),
        features,
        named,
        kind,
        None if classes is None else np.asarray(classes).tolist(),
        None if classes is None else str(np.asarray(classes).dtype),
        "float32" if TensorProto.FLOAT in types else "float64",
        {feature.name: feature.thresholds for feature in features if feature.thresholds},
    )


def _inputs(features: Sequence[Feature], named: bool) -> list[onnx.ValueInfoProto]:
    if not named:
        shape = [None, len(features)]
        return [helper.make_tensor_value_info("X", TensorProto.DOUBLE, shape)]
    return [
        helper.make_tensor_value_info(each.name, TENSOR_TYPES[each.type], [None, 1])
        for each in features
    ]
