"""Categories to numbers: columns of zeros and ones, places, means of the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadonce.convert.graphs.building import tensor
from loadonce.convert.graphs.columns import Column, Columns, computed, gathered, texts_of
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
    spread = scope.numbers(tuple(each.column for each in coded for _ in each.codes))
    codes = np.concatenate([each.codes for each in coded])
    if np.isnan(codes).any():
        spread = g.op("Where", g.op("IsNaN", spread), g.numbers(_STAND_IN), spread)
        codes = np.where(np.isnan(codes), _STAND_IN, codes)
    found = g.cast(g.op("Equal", spread, g.numbers(codes)), "double")
    rows = [
        _rows(estimator, i, len(known), each.places)
        for i, (each, known) in enumerate(zip(coded, estimator.categories_, strict=True))
    ]
    wide = sum(known.shape[1] for known, _ in rows)
    if estimator.handle_unknown == "error":
        seen = g.op("Equal", g.op("ReduceSum", found, g.integers(1)), g.numbers(len(coded)))
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


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """A column to compare with codes, each of which stands for the category at a place.

    NaN among the codes equals NaN. Two codes may stand for a category that an imputer fills in.
    """

    column: Column
    codes: Doubles
    places: NDArray[np.int64]


def _coded(scope: Scope, column: Column, known: Any) -> _Coded:
    """Texts are compared by their codes; numbers are their own."""
    values = list(known)
    places = np.arange(len(values), dtype=np.int64)
    if (feature := _text_of(scope, column, values)) is None:
        return _Coded(column, _numbers_of(scope, column, values), places)
    codes = _codes(scope, column, feature, values, places)
    keys, found = np.asarray(list(codes)), np.asarray(list(codes.values()), dtype=np.int64)
    return _Coded(replace(column, feature=None, fills=()), keys, found)


def looked_up(scope: Scope, column: Column, known: Any, values: Doubles, unknown: float) -> Column:
    """A column of the value for each category, and of `unknown` for any other."""
    g = scope.g
    given = list(known)
    if (feature := _text_of(scope, column, given)) is None:
        keys, results = _numbers_of(scope, column, given), values
        source = scope.numbers((column,))
    else:
        codes = _codes(scope, column, feature, given, values)
        keys, results = np.asarray(list(codes)), np.asarray(list(codes.values()))
        source = gathered(g, (column,))
    found = g.ml(
        "LabelEncoder",
        source,
        keys_tensor=tensor(keys.astype(np.float64)),
        values_tensor=tensor(results.astype(np.float64)),
        default_tensor=tensor(np.asarray([unknown])),
    )
    can_lack = bool(np.isnan(unknown) or np.isnan(results).any())
    return computed(g, found, 1, can_lack)[0]


def _refuse_unknown(scope: Scope, column: Column, known: Any) -> None:
    found = looked_up(scope, column, known, np.zeros(len(known)), np.nan)
    scope.refuse(found.tensor)


def _codes(
    scope: Scope, column: Column, feature: int, known: list[Any], values: NDArray[Any]
) -> dict[float, Any]:
    """By code, what stands for each text that the column can hold, the missing one included."""
    pairs = list(zip(known, values.tolist(), strict=True))
    given: dict[str | None, Any] = {
        str(text): value for text, value in pairs if isinstance(text, str)
    }
    if missing := [value for text, value in pairs if is_missing(text)]:
        given[None] = missing[0]
    return {scope.code(feature, text): value for text, value in texts_of(column, given).items()}


def _text_of(scope: Scope, column: Column, known: list[Any]) -> int | None:
    """The feature that the column is, if the categories are texts: it has to be unchanged."""
    present = [value for value in known if not is_missing(value)]
    texts = [isinstance(value, str) for value in present]
    is_declared = column.feature is not None and scope.inputs[column.feature].type == "text"
    if not (any(texts) or column.fills or (is_declared and not present)):
        return None
    if column.feature is None:
        raise scope.refusal("it encodes texts that an earlier step made")
    scope.use(column.feature, "text")
    return column.feature


def _numbers_of(scope: Scope, column: Column, known: list[Any]) -> Doubles:
    try:
        numbers = np.asarray(
            [np.nan if is_missing(value) else float(value) for value in known], dtype=np.float64
        )
    except (TypeError, ValueError):
        raise scope.refusal("its categories are neither texts nor numbers") from None
    scope.trace(column, numbers)
    return numbers


def _groups(estimator: Any, i: int) -> Any:
    """For each category its place once the infrequent ones are joined; None if none are."""
    if not getattr(estimator, "_infrequent_enabled", False):
        return None
    return estimator._default_to_infrequent_mappings[i]


def _rows(
    estimator: Any, i: int, size: int, compared: NDArray[np.int64]
) -> tuple[Doubles, Doubles]:
    """The output for each category of column `i` that is compared, and for an unknown one."""
    mapping = _groups(estimator, i)
    places = np.arange(size) if mapping is None else np.asarray(mapping)
    width = int(places.max()) + 1
    known, unknown = np.eye(width)[places[compared]], np.zeros(width)
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
