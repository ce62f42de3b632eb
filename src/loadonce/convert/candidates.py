"""Which values a feature may take: found in the fitted estimator, tried out on it one by one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loadonce.convert.answers import Original
from loadonce.convert.rows import Candidates, Rows, sample

if TYPE_CHECKING:
    import numpy as np

    from loadonce.convert.model import Feature, Graph

_NUMBERS = (0.0, 1.0, -1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 1000.0)
_SPECIAL_NUMBERS = (
    *(float("nan"), float("inf"), float("-inf")),
    *(-0.0, 1e-300, -1e-300, 1e30, -1e30, 0.5, 1e6, -1e6),
)
_SPECIAL_TEXTS = (None, "", " ", "\N{REPLACEMENT CHARACTER} no category")
_MOST_PER_FEATURE = 200
_TRIES = 200
_STATISTICS = ("statistics_", "data_min_", "data_max_", "quantiles_", "center_", "mean_")
_SPREADS = {"center_": "scale_", "mean_": "scale_"}


class NoRowAcceptedError(Exception):
    """The original answered none of the rows that were tried."""


def usual_values(estimator: Any, graph: Graph, stored: Rows | None) -> list[Candidates]:
    """What the fitted parts know of each feature, and what the stored rows have."""
    found: list[dict[object, None]] = [{} for _ in graph.features]
    index = {feature.name: number for number, feature in enumerate(graph.features)}
    for place, values in _known(estimator, list(range(len(index))), index):
        found[place].update(dict.fromkeys(values))
    made = []
    for number, feature in enumerate(graph.features):
        if stored is not None:
            found[number].update(dict.fromkeys(stored.columns[number].tolist()))
        made.append(_candidates(feature, list(found[number])))
    return made


def _candidates(feature: Feature, found: Sequence[object]) -> Candidates:
    if feature.type == "text":
        texts = [text for text in (*feature.texts, *found) if isinstance(text, str)]
        return Candidates(True, tuple(_thinned(list(dict.fromkeys(texts)) or ["a", "b"])))
    numbers = [
        float(each)
        for each in (*feature.thresholds, *found)
        if isinstance(each, int | float) and abs(each) < 1e30
    ]
    few = dict.fromkeys([*_NUMBERS, *_thinned(sorted(set(numbers)))])
    return Candidates(False, tuple(few))


def _thinned(values: Sequence[Any]) -> Sequence[Any]:
    """At most about 200, evenly out of all."""
    return values[:: 1 + len(values) // _MOST_PER_FEATURE]


def _known(
    part: Any, features: list[int], index: Mapping[str, int]
) -> Iterator[tuple[int, list[object]]]:
    """Features, and values that a fitted part tells of them; by the columns it was given."""
    for _name, step in getattr(part, "steps", ()):
        yield from _known(step, features, index)
        if getattr(step, "transformers_", None) is not None:
            return  # what comes after it sees other columns
    for _name, step, columns in getattr(part, "transformers_", ()):
        chosen = _chosen(columns, features, index)
        if chosen and not isinstance(step, str):
            yield from _known(step, chosen, index)
    for inner in getattr(part, "estimators_", ()) if hasattr(part, "named_estimators_") else ():
        yield from _known(inner, features, index)
    for name in _STATISTICS:
        yield from zip(features, _columns(part, name, len(features)), strict=False)
    for categories, feature in zip(getattr(part, "categories_", ()), features, strict=False):
        yield feature, list(categories.tolist())


def _columns(part: Any, name: str, count: int) -> list[list[object]]:
    """The statistic's values by column, with what lies one and three spreads beside."""
    import numpy as np

    values = getattr(part, name, None)
    if values is None or isinstance(values, str):
        return []
    table = np.atleast_2d(np.asarray(values, dtype=object))
    if table.shape[1] != count:
        return []
    spread = getattr(part, _SPREADS.get(name, ""), None)
    if spread is not None:
        table = np.concatenate([table + times * spread for times in (0, -1, 1, -3, 3)])
    return [list(column) for column in table.T.tolist()]


def _chosen(columns: Any, features: list[int], index: Mapping[str, int]) -> list[int]:
    import numpy as np

    if isinstance(columns, str):
        columns = [columns]
    if isinstance(columns, slice):
        return features[columns] if not isinstance(columns.start, str) else []
    columns = np.asarray(columns)
    if columns.dtype == bool:
        columns = np.flatnonzero(columns)
    found = [
        index.get(each) if isinstance(each, str) else features[each] for each in columns.tolist()
    ]
    return [each for each in found if each is not None]


def find_base(
    original: Original, candidates: Sequence[Candidates], generator: np.random.Generator
) -> tuple[object, ...]:
    """A row that the original answers. Raises NoRowAcceptedError with what it said."""
    rows = sample([Candidates(each.is_text, each.usual) for each in candidates], _TRIES, generator)
    said = ""
    for number in range(_TRIES):
        row = rows.take(slice(number, number + 1))
        try:
            original.answers(row)
        except MemoryError:
            raise
        except Exception as exc:
            said = type(exc).__name__  # its text may quote a stored row
        else:
            return tuple(column.tolist()[0] for column in row.columns)
    raise NoRowAcceptedError(
        f"the original answered none of {_TRIES} sampled rows ({said}); give it rows of its own"
    )


def accepted_values(
    original: Original, candidates: Sequence[Candidates], base: Sequence[object]
) -> tuple[list[Candidates], Rows]:
    """The values, usual and special, that the original accepts in the base row; and the rows with
    those that it does not."""
    made, refused = [], [Rows.repeated(base, 0)]
    for feature, each in enumerate(candidates):
        special: tuple[Any, ...] = _SPECIAL_TEXTS if each.is_text else _SPECIAL_NUMBERS
        values = (*each.usual, *special)
        rows = Rows.repeated(base, len(values)).with_column(feature, each.array(values))
        accepted, _answers = original.answers_to_all(rows)
        first = len(each.usual)
        usual = itertools.compress(each.usual, accepted[:first])
        special = tuple(itertools.compress(special, accepted[first:]))
        made.append(Candidates(each.is_text, tuple(usual), special))
        refused.append(rows.take(~accepted))
    return made, Rows.together(refused)


def refused_kinds(refused: Rows) -> dict[str, list[int]]:
    """By kind of value ("missing", "unknown", "infinite", "extreme"): the features concerned."""
    kinds: dict[str, list[int]] = {}
    for place, feature in enumerate(refused.probed.tolist()):
        found = kinds.setdefault(_kind(refused.columns[feature][place]), [])
        if feature not in found:
            found.append(feature)
    return kinds


def _kind(value: Any) -> str:
    if value is None or value != value:
        return "missing"
    if isinstance(value, float) and math.isinf(value):
        return "infinite"
    return "extreme" if value in _SPECIAL_NUMBERS else "unknown"
