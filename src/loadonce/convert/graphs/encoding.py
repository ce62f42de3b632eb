"""Categories to numbers: columns of zeros and ones, places, means of the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadonce.convert.graphs.building import tensor
from loadonce.convert.graphs.columns import Column, Columns, computed, texts_of
from loadonce.convert.graphs.imputing import is_missing
from loadonce.convert.graphs.scope import Scope

Doubles = NDArray[np.float64]
_STAND_IN = -1.7976931348623157e308
"""Compared in place of NaN, which equals nothing."""


def one_hot(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """One column for each category, those dropped left out and the infrequent ones joined."""
    g = scope.g
    coded = [
        _coded(scope, column, known)
        for column, known in zip(columns, estimator.categories_, strict=True)
    ]
    sizes = [len(each.codes) for each in coded]
    source = _side_by_side(scope, [each.column for each in coded])
    spread = source if len(sizes) == 1 else g.take(source, np.repeat(range(len(sizes)), sizes))
    codes = g.numbers(np.concatenate([each.codes for each in coded]))
    found = g.cast(g.op("Equal", spread, codes), "double")
    rows = [_rows(estimator, i, size) for i, size in enumerate(sizes)]
    wide = sum(known.shape[1] for known, _ in rows)
    if estimator.handle_unknown == "error":
        seen = g.op("Equal", g.op("ReduceSum", found, g.integers(1)), g.numbers(len(sizes)))
        scope.refuse(g.op("Where", seen, g.numbers(0.0), g.numbers(np.nan)))
    return computed(g, _rearranged(scope, found, rows), wide, False)


def ordinal(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """The place of each category."""
    refuses = estimator.handle_unknown == "error"
    unknown = np.nan if refuses else estimator.unknown_value
    found: list[Column] = []
    for i, (column, known) in enumerate(zip(columns, estimator.categories_, strict=True)):
        values = np.arange(len(known), dtype=np.float64)
        mapping = _groups(estimator, i)
        if mapping is not None:  # what is missing comes last, and joins no group
            values[: len(mapping)] = mapping
        if i in estimator._missing_indices:
            values[estimator._missing_indices[i]] = estimator.encoded_missing_value
        found.append(looked_up(scope, column, known, values, float(unknown)))
        if refuses:
            _refuse_unknown(scope, column, known)
    return tuple(found)


def target(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """The mean of the target for each category; for unknown ones, of all."""
    means = np.atleast_1d(estimator.target_mean_)
    found: list[Column] = []
    for i, encoding in enumerate(estimator.encodings_):
        place = i // len(means)
        known = estimator.categories_[place]
        mean = float(means[i % len(means)])
        found.append(looked_up(scope, columns[place], known, np.asarray(encoding), mean))
    return tuple(found)


def bins(scope: Scope, estimator: Any, columns: Columns) -> Columns:
    """How many inner edges are not above the value; or a column for each bin."""
    g = scope.g
    source = scope.numbers(columns)
    edges = [np.asarray(each[1:-1], dtype=np.float64) for each in estimator.bin_edges_]
    for column, each in zip(columns, edges, strict=True):
        scope.trace(column, each)
    spread = g.take(source, np.repeat(range(len(edges)), [len(each) for each in edges]))
    passed = g.cast(g.op("GreaterOrEqual", spread, g.numbers(np.concatenate(edges))), "double")
    belongs = np.repeat(np.eye(len(edges)), [len(each) for each in edges], axis=0)
    places = g.op("MatMul", passed, g.numbers(belongs))
    scope.refuse_missing(columns)
    found = computed(g, places, len(columns), False)
    return found if estimator.encode == "ordinal" else one_hot(scope, estimator._encoder, found)


@dataclass(frozen=True, slots=True)
class _Coded:
    """A column of codes that are compared exactly, and the code of each category."""

    column: Column
    codes: Doubles


def _coded(scope: Scope, column: Column, known: Any) -> _Coded:
    """Texts are looked up; numbers are their own codes, but for NaN."""
    values = list(known)
    if _is_text(scope, column, values):
        places = np.arange(len(values), dtype=np.float64)
        return _Coded(looked_up(scope, column, known, places, np.nan), places)
    numbers = _numbers_of(scope, column, values)
    if not np.isnan(numbers).any():
        return _Coded(column, numbers)
    g = scope.g
    source = scope.numbers((column,))
    source = g.op("Where", g.op("IsNaN", source), g.numbers(_STAND_IN), source)
    return _Coded(computed(g, source, 1, False)[0], np.where(np.isnan(numbers), _STAND_IN, numbers))


def looked_up(scope: Scope, column: Column, known: Any, values: Doubles, unknown: float) -> Column:
    """A column of the value for each category, and of `unknown` for any other."""
    g = scope.g
    given = list(known)
    if _is_text(scope, column, given):
        texts = _texts(scope, column, given, values)
        keys, results = np.asarray(list(texts), dtype=object), np.asarray(list(texts.values()))
        source = column.tensor
    else:
        keys, results = _numbers_of(scope, column, given), values
        source = scope.numbers((column,))
    found = g.ml(
        "LabelEncoder",
        source,
        keys_tensor=tensor(keys),
        values_tensor=tensor(results.astype(np.float64)),
        default_tensor=tensor(np.asarray([unknown])),
    )
    can_lack = bool(np.isnan(unknown) or np.isnan(results).any())
    return computed(g, found, 1, can_lack)[0]


def _refuse_unknown(scope: Scope, column: Column, known: Any) -> None:
    found = looked_up(scope, column, known, np.zeros(len(known)), np.nan)
    scope.refuse(found.tensor)


def _texts(scope: Scope, column: Column, known: list[Any], values: Doubles) -> dict[str, float]:
    """Each text that the column can hold and its value, what is missing included."""
    pairs = dict(zip(known, values.tolist(), strict=True))
    missing = next((value for text, value in pairs.items() if is_missing(text)), None)
    texts = {text: value for text, value in pairs.items() if isinstance(text, str)}
    return texts_of(column, texts, missing)


def _is_text(scope: Scope, column: Column, known: list[Any]) -> bool:
    """Whether the categories are texts; then the column has to be a feature as it was given."""
    present = [value for value in known if not is_missing(value)]
    texts = [isinstance(value, str) for value in present]
    is_declared = column.feature is not None and scope.inputs[column.feature].type == "text"
    if not (any(texts) or column.fills or (is_declared and not present)):
        return False
    if column.feature is None:
        raise scope.refusal("it encodes texts that an earlier step made")
    scope.use(column.feature, "text")
    given = (value for value in present if isinstance(value, str))
    scope.inputs[column.feature].categories.update(dict.fromkeys(given))
    return True


def _numbers_of(scope: Scope, column: Column, known: list[Any]) -> Doubles:
    try:
        numbers = np.asarray(
            [np.nan if is_missing(value) else float(value) for value in known], dtype=np.float64
        )
    except (TypeError, ValueError):
        raise scope.refusal("its categories are neither texts nor numbers") from None
    scope.trace(column, numbers)
    return numbers


def _side_by_side(scope: Scope, columns: Sequence[Column]) -> str:
    return scope.numbers(tuple(columns))


def _groups(estimator: Any, i: int) -> Any:
    """For each category its place once the infrequent ones are joined; None if none are."""
    if not getattr(estimator, "_infrequent_enabled", False):
        return None
    return estimator._default_to_infrequent_mappings[i]


def _rows(estimator: Any, i: int, size: int) -> tuple[Doubles, Doubles]:
    """The output for each category of column `i`, and for an unknown one."""
    mapping = _groups(estimator, i)
    places = np.arange(size) if mapping is None else np.asarray(mapping)
    width = int(places.max()) + 1
    known, unknown = np.eye(width)[places], np.zeros(width)
    if mapping is not None and estimator.handle_unknown in ("infrequent_if_exist", "warn"):
        unknown[-1] = 1.0
    dropped = estimator._drop_idx_after_grouping
    if dropped is None or dropped[i] is None:
        return known, unknown
    kept = np.arange(width) != dropped[i]
    return known[:, kept], unknown[kept]


def _rearranged(scope: Scope, found: str, rows: Sequence[tuple[Doubles, Doubles]]) -> str:
    """The outputs of all columns from which category each is: whole numbers, so exact."""
    from scipy.linalg import block_diag

    weights = np.asarray(block_diag(*(known - unknown for known, unknown in rows)))
    start = np.concatenate([unknown for _, unknown in rows])
    if weights.shape[0] == weights.shape[1] and np.array_equal(weights, np.eye(len(weights))):
        return found
    return scope.g.op("Gemm", found, scope.g.numbers(weights), scope.g.numbers(start))


TRANSFORMERS = {
    "sklearn.OneHotEncoder": one_hot,
    "sklearn.OrdinalEncoder": ordinal,
    "sklearn.TargetEncoder": target,
    "sklearn.KBinsDiscretizer": bins,
}
