"""Estimators on the answers of others, and on a target that was transformed."""

from __future__ import annotations

from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Columns, computed, lacks
from loadonce.convert.graphs.scaling import called
from loadonce.convert.graphs.scope import Classified, Scope


def stacking_classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """The last classifier, on the members' answers."""
    answers = _answers(scope, estimator, columns, _class_scores)
    return scope.classify("final estimator", estimator.final_estimator_, answers)


def stacking_regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The last regressor, on the members' values."""
    answers = _answers(scope, estimator, columns, _value)
    return scope.regress("final estimator", estimator.final_estimator_, answers)


def transformed_target(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The inverse of the target's transformation, of the regressor's value."""
    found = scope.regress("regressor", estimator.regressor_, columns)
    transformer = estimator.transformer_
    name = type(transformer).__name__
    if name == "FunctionTransformer" and not transformer.inv_kw_args:
        return called(scope, transformer.inverse_func, found)
    if name == "StandardScaler":
        scale = transformer.scale_ if transformer.with_std else None
        return _moved(scope, found, scale, transformer.mean_ if transformer.with_mean else None)
    if name == "RobustScaler":
        scale = transformer.scale_ if transformer.with_scaling else None
        center = transformer.center_ if transformer.with_centering else None
        return _moved(scope, found, scale, center)
    if name == "MinMaxScaler":
        lowered = scope.g.op("Sub", found, scope.g.numbers(transformer.min_))
        return scope.g.op("Div", lowered, scope.g.numbers(transformer.scale_))
    raise scope.refusal(f"the inverse of its {name} has no conversion")


def _moved(scope: Scope, found: str, scale: Any, center: Any) -> str:
    for operator, values in (("Mul", scale), ("Add", center)):
        if values is not None:
            found = scope.g.op(operator, found, scope.g.numbers(values))
    return found


def _answers(scope: Scope, estimator: Any, columns: Columns, ask: Any) -> Columns:
    names = [name for name, each in estimator.estimators if not isinstance(each, str)]
    found: Columns = ()
    members = zip(names, estimator.estimators_, estimator.stack_method_, strict=True)
    for name, member, method in members:
        tensor, width = ask(scope, f"member '{name}'", member, method, columns)
        if lacks(columns):
            scope.refuse_nan(tensor, width)
        found += computed(scope.g, tensor, width, False)
    return found + columns if estimator.passthrough else found


def _value(scope: Scope, name: str, member: Any, method: str, columns: Columns) -> tuple[str, int]:
    return scope.regress(name, member, columns), 1


def _class_scores(
    scope: Scope, name: str, member: Any, method: str, columns: Columns
) -> tuple[str, int]:
    found = scope.classify(name, member, columns)
    classes = len(member.classes_)
    if method == "predict_proba" and found.probabilities is not None:
        if classes > 2:
            return found.probabilities, classes
        return scope.g.take(found.probabilities, np.arange(1, classes)), classes - 1
    if method == "decision_function" and found.decision is not None:
        return found.decision, 1 if classes == 2 else scope.g.widths.get(found.decision, classes)
    raise scope.refusal(f"{name} answers by {method}, which has no conversion")


CLASSIFIERS = {"sklearn.StackingClassifier": stacking_classifier}
REGRESSORS = {
    "sklearn.StackingRegressor": stacking_regressor,
    "sklearn.TransformedTargetRegressor": transformed_target,
}
