"""Numbers to numbers, each column by itself: in double, operation by operation as the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Columns, computed, lacks
from loadonce.convert.graphs.scope import Scope


def standard(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """Minus the mean, divided by the deviation."""
    mean = estimator.mean_ if estimator.with_mean else None
    return _affine(scope, columns, mean, estimator.scale_ if estimator.with_std else None)


def robust(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """Minus the median, divided by the range between quantiles."""
    return _affine(
        scope,
        columns,
        estimator.center_ if estimator.with_centering else None,
        estimator.scale_ if estimator.with_scaling else None,
    )


def min_max(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """To the range, within it if asked."""
    g = scope.g
    found = g.op("Mul", scope.numbers(columns), g.numbers(estimator.scale_))
    found = g.op("Add", found, g.numbers(estimator.min_))
    low, high = estimator.feature_range
    return _clipped(scope, estimator.clip, found, low, high, columns)


def max_abs(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """Divided by the largest absolute value."""
    found = scope.g.op("Div", scope.numbers(columns), scope.g.numbers(estimator.scale_))
    return _clipped(scope, getattr(estimator, "clip", False), found, -1.0, 1.0, columns)


def binarizer(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """1 above the threshold."""
    g = scope.g
    source = scope.numbers(columns)
    for column in columns:
        scope.trace(column, [estimator.threshold])
    scope.refuse_missing(columns)
    found = g.cast(g.op("Greater", source, g.numbers(estimator.threshold)), "double")
    return computed(g, found, len(columns), False)


def normalizer(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """Each row to length 1; a row of zeros stays."""
    g = scope.g
    source = scope.numbers(columns)
    axis = g.integers(1)
    if estimator.norm == "max":
        norms = g.op("ReduceMax", g.op("Abs", source), axis)
    else:
        norms = g.op("ReduceL1" if estimator.norm == "l1" else "ReduceL2", source, axis)
    norms = g.op("Where", g.op("Equal", norms, g.numbers(0.0)), g.numbers(1.0), norms)
    scope.refuse_missing(columns)
    return computed(g, g.op("Div", source, norms), len(columns), False)


def power(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """Box-Cox or Yeo-Johnson, then standardised."""
    transform = {"yeo-johnson": _yeo_johnson, "box-cox": _box_cox}[estimator.method]
    source = scope.numbers(columns)
    found = transform(scope, source, np.asarray(estimator.lambdas_, dtype=np.float64))
    columns = computed(
        scope.g, found, len(columns), lacks(columns) or estimator.method == "box-cox"
    )
    return standard(scope, estimator._scaler, columns) if estimator.standardize else columns


def function(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """The identity, or a function of numpy's that the graph can compute."""
    if estimator.func is None:
        return columns
    if _is_check(estimator.func):
        scope.numbers(columns)
        return columns
    if estimator.kw_args:
        raise scope.refusal("its function takes arguments")
    found = called(scope, estimator.func, scope.numbers(columns))
    return computed(scope.g, found, len(columns), True)


def called(scope: Scope, function: Any, source: str) -> str:
    """A function of numpy's, of `source`."""
    if function is None:
        return source
    for known, make in FUNCTIONS.items():
        if function is getattr(np, known):
            return make(scope, source)
    raise scope.refusal(f"its function {getattr(function, '__name__', '')!r} is not known")


def _is_check(function: Any) -> bool:
    """Whether it is what HistGradientBoosting puts before its numbers: a check, no change."""
    kind = getattr(function, "func", None)
    return kind is not None and (kind.__module__, kind.__name__) == (
        "sklearn.utils.validation",
        "check_array",
    )


def _affine(scope: Scope, columns: Columns, center: Any, scale: Any) -> Columns:
    if center is None and scale is None:
        return columns
    found = scope.numbers(columns)
    if center is not None:
        found = scope.g.op("Sub", found, scope.g.numbers(center))
    if scale is not None:
        found = scope.g.op("Div", found, scope.g.numbers(scale))
    return computed(scope.g, found, len(columns), lacks(columns))


def _clipped(
    scope: Scope, clip: bool, found: str, low: float, high: float, columns: Columns
) -> Columns:
    if clip:
        found = scope.g.op("Clip", found, scope.g.numbers(low), scope.g.numbers(high))
    return computed(scope.g, found, len(columns), lacks(columns))


def _yeo_johnson(scope: Scope, source: str, lambdas: Any) -> str:
    """The branch for what is not negative, and its mirror image for what is."""
    g = scope.g
    eps = np.finfo(np.float64).eps
    above = _power(scope, g.op("Max", source, g.numbers(0.0)), lambdas, np.abs(lambdas) < eps)
    mirror = g.op("Max", g.op("Neg", source), g.numbers(0.0))
    flat = np.abs(lambdas - 2) <= eps
    below = g.op("Neg", _power(scope, mirror, 2 - lambdas, flat))
    return g.op("Where", g.op("GreaterOrEqual", source, g.numbers(0.0)), above, below)


def _power(scope: Scope, source: str, exponents: Any, flat: Any) -> str:
    """((1 + source) ** exponent - 1) / exponent, its logarithm where `flat`."""
    g = scope.g
    raised = g.op("Add", source, g.numbers(1.0))
    safe = np.where(flat, 1.0, exponents)
    found = g.op("Pow", raised, g.numbers(safe))
    found = g.op("Div", g.op("Sub", found, g.numbers(1.0)), g.numbers(safe))
    return g.op("Where", g.constant(flat), g.op("Log", raised), found) if flat.any() else found


def _box_cox(scope: Scope, source: str, lambdas: Any) -> str:
    """Of what is positive; the rest, which the original refuses, is NaN."""
    g = scope.g
    flat = lambdas == 0
    safe = np.where(flat, 1.0, lambdas)
    found = g.op("Pow", source, g.numbers(safe))
    found = g.op("Div", g.op("Sub", found, g.numbers(1.0)), g.numbers(safe))
    if flat.any():
        found = g.op("Where", g.constant(flat), g.op("Log", source), found)
    positive = g.op("Greater", source, g.numbers(0.0))
    return g.op("Where", positive, found, g.numbers(np.nan))


def _one(operator: str) -> Callable[[Scope, str], str]:
    return lambda scope, source: scope.g.op(operator, source)


def _log1p(scope: Scope, source: str) -> str:
    return scope.g.op("Log", scope.g.op("Add", source, scope.g.numbers(1.0)))


def _expm1(scope: Scope, source: str) -> str:
    return scope.g.op("Sub", scope.g.op("Exp", source), scope.g.numbers(1.0))


def _over_log(base: float) -> Callable[[Scope, str], str]:
    return lambda scope, source: scope.g.op(
        "Div", scope.g.op("Log", source), scope.g.numbers(np.log(base))
    )


FUNCTIONS: dict[str, Callable[[Scope, str], str]] = {
    "log1p": _log1p,
    "expm1": _expm1,
    "log": _one("Log"),
    "log2": _over_log(2.0),
    "log10": _over_log(10.0),
    "exp": _one("Exp"),
    "sqrt": _one("Sqrt"),
    "abs": _one("Abs"),
    "absolute": _one("Abs"),
    "negative": _one("Neg"),
    "square": lambda scope, source: scope.g.op("Mul", source, source),
    "reciprocal": _one("Reciprocal"),
    "tanh": _one("Tanh"),
    "floor": _one("Floor"),
    "ceil": _one("Ceil"),
    "sign": _one("Sign"),
}
"""By the name in numpy."""

TRANSFORMERS = {
    "sklearn.StandardScaler": standard,
    "sklearn.RobustScaler": robust,
    "sklearn.MinMaxScaler": min_max,
    "sklearn.MaxAbsScaler": max_abs,
    "sklearn.Binarizer": binarizer,
    "sklearn.Normalizer": normalizer,
    "sklearn.PowerTransformer": power,
    "sklearn.FunctionTransformer": function,
}
