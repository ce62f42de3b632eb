"""Steps one after the other, and steps side by side."""

from __future__ import annotations

from typing import Any

from loadonce.convert.graphs.columns import Columns, computed, lacks
from loadonce.convert.graphs.scope import Classified, Scope


def pipeline(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """All steps transform."""
    name, last = estimator.steps[-1]
    return _through(scope, name, last, _before_last(scope, estimator, columns))


def pipeline_classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """All steps but the last transform; that one classifies."""
    name, last = estimator.steps[-1]
    return scope.classify(f"step '{name}'", last, _before_last(scope, estimator, columns))


def pipeline_regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """All steps but the last transform; that one estimates."""
    name, last = estimator.steps[-1]
    return scope.regress(f"step '{name}'", last, _before_last(scope, estimator, columns))


def inner(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """The transformer inside."""
    return scope.transform("", _inside(estimator), columns)


def inner_classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """The classifier inside."""
    return scope.classify("", _inside(estimator), columns)


def inner_regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The regressor inside."""
    return scope.regress("", _inside(estimator), columns)


def column_transformer(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """Each transformer on columns of its own; the results in the transformers' order."""
    weights = estimator.transformer_weights or {}
    found: list[Columns] = []
    for name, transformer, _ in estimator.transformers_:
        if transformer == "drop":
            continue
        chosen = tuple(columns[i] for i in estimator._transformer_to_input_indices[name])
        if chosen:
            made = _through(scope, name, transformer, chosen)
            found.append(_weighted(scope, made, weights.get(name)))
    return sum(found, ())


def feature_union(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """Each transformer on the same columns."""
    weights = estimator.transformer_weights or {}
    found = [
        _weighted(scope, _through(scope, name, transformer, columns), weights.get(name))
        for name, transformer in estimator.transformer_list
        if transformer != "drop"
    ]
    return sum(found, ())


def _inside(estimator: Any) -> Any:
    """What a search found best, or what is frozen."""
    found = getattr(estimator, "best_estimator_", None)
    return estimator.estimator if found is None else found


def _before_last(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    for name, step in estimator.steps[:-1]:
        columns = _through(scope, name, step, columns)
    return columns


def _through(scope: Scope, name: str, step: Any, columns: Columns) -> Columns:
    if step is None or step == "passthrough":
        return columns
    return scope.transform(f"step '{name}'", step, columns)


def _weighted(scope: Scope, columns: Columns, weight: float | None) -> Columns:
    if weight is None:
        return columns
    g = scope.g
    tensor = g.op("Mul", scope.numbers(columns), g.numbers(weight))
    return computed(g, tensor, len(columns), lacks(columns))


INNER = (
    *("FrozenEstimator", "GridSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"),
    "RandomizedSearchCV",
)
TRANSFORMERS = {f"sklearn.{name}": inner for name in INNER} | {
    "sklearn.Pipeline": pipeline,
    "sklearn.ColumnTransformer": column_transformer,
    "sklearn.FeatureUnion": feature_union,
}
CLASSIFIERS = {f"sklearn.{name}": inner_classifier for name in INNER} | {
    "sklearn.Pipeline": pipeline_classifier
}
REGRESSORS = {f"sklearn.{name}": inner_regressor for name in INNER} | {
    "sklearn.Pipeline": pipeline_regressor
}
