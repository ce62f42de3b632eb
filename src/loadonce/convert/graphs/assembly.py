"""The whole graph: inputs, the estimator's conversion, outputs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
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
from loadonce.convert.graphs.columns import Column, Columns, Input
from loadonce.convert.graphs.scope import Scope, Tables
from loadonce.convert.model import Feature, Graph, Unconvertible
from loadonce.loaders.signature import INPUT

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
        raise Unconvertible(_why_unnumbered(estimator))
    names = _names(estimator, feature_names)
    named = names is not None
    inputs = [Input(name) for name in names or _numbered(estimator)]
    scope = Scope(TABLES, inputs)
    for number, each in enumerate(inputs):
        if each.name in text:
            scope.use(number, "text")
    columns = _columns(scope)
    if kind == "classifier":
        outputs = _classified(scope, estimator, columns)
    else:
        value = scope.answered(scope.regress("", estimator, columns))
        outputs = {"value": (value, int(TensorProto.DOUBLE), [None, 1])}
    return _graph(scope, estimator, kind, named, outputs)


def _why_unnumbered(estimator: Any) -> str:
    """Of a pipeline the first step would tell the number of features; one's own may not."""
    first = estimator
    while steps := getattr(first, "steps", None):
        first = steps[0][1]
    known = TABLES.transformers.keys() | TABLES.classifiers.keys() | TABLES.regressors.keys()
    kinds = type(first).__mro__
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}" for kind in kinds}
    if isinstance(first, str) or names & known:  # "passthrough", or one that was never fitted
        name = type(estimator).__name__
        return f"{name}: it does not tell its number of features; is it fitted?"
    return f"{kinds[0].__module__}.{kinds[0].__qualname__} has no graph"


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
    if names and len(set(names)) < len(names):
        raise Unconvertible("two features have the same name")
    return names


def _numbered(estimator: Any) -> list[str]:
    return [f"x{number}" for number in range(estimator.n_features_in_)]


def _columns(scope: Scope) -> Columns:
    scope.g.widths[INPUT] = len(scope.inputs)
    return tuple(Column(INPUT, i, feature=i, origin=i) for i in range(len(scope.inputs)))


def _classified(scope: Scope, estimator: Any, columns: Columns) -> dict[str, Output]:
    """`label` only where the probabilities do not tell it."""
    found = scope.classify("", estimator, columns)
    if not all(isinstance(each, int | float | str) for each in _classes(estimator)):
        raise Unconvertible("its classes are neither numbers nor texts")
    shape = [None, len(estimator.classes_)]
    outputs: dict[str, Output] = {}
    if found.is_place:
        outputs["label"] = (found.label, TensorProto.INT64, [None])
    elif found.probabilities is None:
        return {"label": (scope.answered(found.label), TensorProto.DOUBLE, shape)}
    elif found.label != found.probabilities:
        outputs["label"] = (found.label, TensorProto.DOUBLE, shape)
    if found.probabilities is not None:
        shares = scope.answered(found.probabilities)
        return outputs | {"probabilities": (shares, TensorProto.DOUBLE, shape)}
    scores = scope.answered(str(found.decision))
    return outputs | {"scores": (scores, TensorProto.DOUBLE, [None, None])}


def _classes(estimator: Any) -> list[Any]:
    """As Python's values."""
    return list(np.asarray(estimator.classes_).tolist())


def _graph(
    scope: Scope, estimator: Any, kind: Any, named: bool, outputs: dict[str, Output]
) -> Graph:
    features = tuple(
        Feature(
            each.name,
            "text" if each.type == "text" else "number",
            tuple(each.texts),
            tuple(sorted(each.thresholds)),
        )
        for each in scope.inputs
    )
    is_classifier = kind == "classifier"
    types = {element for _, element, _ in outputs.values()}
    shape = [None, len(features)]
    return Graph(
        scope.g.model([helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, shape)], outputs),
        features,
        named,
        kind,
        _classes(estimator) if is_classifier else None,
        str(np.asarray(estimator.classes_).dtype) if is_classifier else None,
        "float32" if TensorProto.FLOAT in types else "float64",
        {feature.name: feature.thresholds for feature in features if feature.thresholds},
    )
