"""What stands for the missing: texts are read as others, numbers are replaced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Column, Columns, computed, gathered
from loadonce.convert.graphs.scope import Scope


def is_missing(value: object) -> bool:
    """Whether a fitted value or parameter is None, NaN or pandas' NA."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, float | np.floating) and math.isnan(value)


def simple_imputer(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """Statistics for the missing; the indicators, if any, come last."""
    filled = list(zip(columns, estimator.statistics_.tolist(), strict=True))
    if not is_missing(estimator.missing_values):
        scope.refuse_missing(tuple(c for c, fill in filled if not isinstance(fill, str)))
    kept = [
        (column, fill)
        for column, fill in filled
        if estimator.keep_empty_features or not is_missing(fill)
    ]
    return _imputed(scope, kept, estimator.missing_values) + _indicated(scope, estimator, columns)


def missing_indicator(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """1 where a value is missing, for the columns that lacked some in training."""
    learnt = set(estimator.features_.tolist())
    if estimator.error_on_new and estimator.features == "missing-only":
        scope.refuse_missing(tuple(each for i, each in enumerate(columns) if i not in learnt))
    return _marked(scope, estimator, columns)


def _imputed(scope: Scope, kept: Sequence[tuple[Column, Any]], missing: Any) -> Columns:
    """Runs of numbers are replaced together; a text costs no node."""
    found: list[Columns] = []
    run: list[tuple[Column, Any]] = []
    for column, fill in kept:
        if isinstance(fill, str):
            found += [_numbers(scope, run, missing), (_text(scope, column, fill, missing),)]
            run = []
        else:
            run.append((column, fill))
    return sum([*found, _numbers(scope, run, missing)], ())


def _text(scope: Scope, column: Column, fill: str, missing: Any) -> Column:
    if column.feature is None:
        raise scope.refusal("it fills in texts that an earlier step made")
    scope.use(column.feature, "text")
    if is_missing(missing):
        return column.filled(None, fill)
    return column.filled(missing, fill) if isinstance(missing, str) else column


def _numbers(scope: Scope, run: Sequence[tuple[Column, Any]], missing: Any) -> Columns:
    g = scope.g
    columns = tuple(column for column, _ in run)
    is_nan = is_missing(missing)
    if not run or (is_nan and not any(column.may_lack for column in columns)):
        return columns
    source = scope.numbers(columns)
    fills = g.numbers([float(fill) for _, fill in run])
    tensor = g.op("Where", _is(scope, source, missing), fills, source)
    made = computed(g, tensor, len(run), False)
    return tuple(
        replace(new, origin=old.origin, may_lack=False if is_nan else old.may_lack)
        for new, old in zip(made, columns, strict=True)
    )


def _is(scope: Scope, source: str, missing: Any) -> str:
    if is_missing(missing):
        return scope.g.op("IsNaN", source)
    return scope.g.op("Equal", source, scope.g.numbers(missing))


def _indicated(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    if not estimator.add_indicator:
        return ()
    return _marked(scope, estimator.indicator_, columns)


def _marked(scope: Scope, indicator: Any, columns: Columns) -> Columns:
    chosen = [columns[i] for i in indicator.features_.tolist()]
    found: list[Columns] = []
    run: list[Column] = []
    for column in chosen:
        if column.feature is not None and scope.inputs[column.feature].type == "text":
            marked = _marked_text(scope, column, column.feature, indicator)
            found += [_marked_numbers(scope, run, indicator), marked]
            run = []
        else:
            run.append(column)
    return sum([*found, _marked_numbers(scope, run, indicator)], ())


def _marked_numbers(scope: Scope, run: Sequence[Column], indicator: Any) -> Columns:
    if not run:
        return ()
    mask = _is(scope, scope.numbers(tuple(run)), indicator.missing_values)
    return computed(scope.g, scope.g.cast(mask, "double"), len(run), False)


def _marked_text(scope: Scope, column: Column, feature: int, indicator: Any) -> Columns:
    g, missing = scope.g, indicator.missing_values
    code = scope.code(feature, None if is_missing(missing) else str(missing))
    found = g.op("Equal", gathered(g, (column,)), g.numbers(code))
    return computed(g, g.cast(found, "double"), 1, False)


TRANSFORMERS = {
    "sklearn.SimpleImputer": simple_imputer,
    "sklearn.MissingIndicator": missing_indicator,
}
