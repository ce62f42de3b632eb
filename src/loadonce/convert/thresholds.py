"""Raw rows that lie at, and one float beside, every threshold of every tree.

A tree compares what the transformers made of a feature, often rounded to float32. So the raw value
at which a comparison turns is found by bisection with the fitted transformers themselves: two
neighbouring float64 of which one goes left and the other right. And since a comparison deep in a
tree matters only to rows that get there, the other features of the row are chosen along the path.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadonce.convert.answers import Original
from loadonce.convert.rows import Candidates, Rows
from loadonce.convert.tracing import Lens, Turn
from loadonce.convert.trees import Grove, Tree, groves

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NODES_PER_THRESHOLD = 5  # tried, until one is found that some row can reach
_SPARE_NODES = 5_000  # further nodes, whose thresholds others have too
_WANTED = 20_000  # rows, if there can be fewer: a node is then reached in several ways
_MOST_WAYS = 4

Bounds = Mapping[int, tuple[float, float, bool]]
"""By column: more than the first and at most the second; or missing, if the third says so."""


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """Rows at thresholds.

    Args:
        rows: the rows.
        total: how many different thresholds the trees have, by column.
        threshold: for each row the number of the threshold that it was seen to reach, or -1.
        is_left: for each row whether it goes left there.
    """

    rows: Rows
    total: int
    threshold: NDArray[np.int64]
    is_left: NDArray[np.bool_]

    def compared(self, accepted: NDArray[np.bool_]) -> int:
        """How many thresholds have rows on both sides, counting `accepted` rows only."""
        counts = accepted & (self.threshold >= 0)
        left = set(self.threshold[counts & self.is_left].tolist())
        return len(left & set(self.threshold[counts & ~self.is_left].tolist()))


def rows_at_thresholds(
    original: Original,
    candidates: Sequence[Candidates],
    base: Sequence[object],
    generator: np.random.Generator,
) -> Reached:
    """Rows for every numeric threshold of every tree of `original`.

    Args:
        original: the estimator.
        candidates: values by feature that it accepts.
        base: a row that it accepts.
        generator: chooses among values that lead down the same path.
    """
    import numpy as np

    parts = [
        _Survey(Lens(original, grove, candidates, base), grove, base, generator).reached()
        for grove in groves(original.estimator)
    ]
    before = np.cumsum([0, *(part.total for part in parts)]).tolist()
    numbers = [
        np.where(part.threshold >= 0, part.threshold + start, -1)
        for part, start in zip(parts, before, strict=False)
    ]
    return Reached(
        Rows.together([Rows.repeated(base, 0), *(part.rows for part in parts)]),
        before[-1],
        np.concatenate([np.zeros(0, np.int64), *numbers]),
        np.concatenate([np.zeros(0, np.bool_), *(part.is_left for part in parts)]),
    )


@dataclass(frozen=True, slots=True)
class _Probe:
    """One row to be: its values, the node it is for, and the bounds on the way there."""

    values: tuple[object, ...]
    feature: int
    key: tuple[int, float]
    missing_left: bool
    bounds: Bounds


class _Survey:
    """The rows for one grove."""

    def __init__(
        self, lens: Lens, grove: Grove, base: Sequence[object], generator: np.random.Generator
    ) -> None:
        self._lens = lens
        self._grove = grove
        self._base = base
        self._generator = generator
        self._nodes = self._nodes_by_threshold()
        count = min(len(self._nodes) + _SPARE_NODES, sum(map(len, self._nodes.values())))
        self._ways = max(1, min(_MOST_WAYS, _WANTED // (4 * count + 1)))
        self._turns = lens.turns(_by_column(self._nodes))
        self._pools = [
            _Pool(lens, feature, columns, self._turns)
            for feature, columns in enumerate(lens.columns_of)
        ]

    def reached(self) -> Reached:
        probes = list(self._probes())
        rows = self._rows(probes)
        number = {key: place for place, key in enumerate(self._nodes)}
        threshold, is_left = self._checked(probes, rows, number)
        return Reached(rows, len(number), threshold, is_left)

    def _nodes_by_threshold(self) -> dict[tuple[int, float], list[tuple[Tree, int]]]:
        """The nodes that have each threshold, in an order of chance."""
        nodes: dict[tuple[int, float], list[tuple[Tree, int]]] = defaultdict(list)
        trees = self._grove.trees
        for place in self._generator.permutation(len(trees)).tolist():
            tree = trees[place]
            pairs = zip(tree.column.tolist(), tree.threshold.tolist(), strict=True)
            for node, key in enumerate(pairs):
                if key[0] >= 0:
                    nodes[key].append((tree, node))
        return dict(nodes)

    def _probes(self) -> Iterator[_Probe]:
        spare = _SPARE_NODES
        for key, nodes in self._nodes.items():
            turn = self._turns.get(key)
            if turn is None:
                continue
            is_done = False
            for number, (tree, node) in enumerate(nodes):
                if spare <= 0 if is_done else number >= _NODES_PER_THRESHOLD:
                    break
                found = self._probes_of(tree, node, key, turn)
                spare -= is_done
                is_done = is_done or bool(found)
                yield from found

    def _probes_of(self, tree: Tree, node: int, key: tuple[int, float], turn: Turn) -> list[_Probe]:
        """Rows that lead to the node, with values around its threshold; none if no row can."""
        bounds = _bounds(tree, node)
        ways = [self._others(bounds, key[0], turn.feature) for _ in range(self._ways)]
        around = [*turn.left, *turn.right, *self._pools[turn.feature].missing]
        missing_left = bool(tree.missing_left[node])
        return [
            _Probe(
                (*others[: turn.feature], value, *others[turn.feature + 1 :]),
                turn.feature,
                key,
                missing_left,
                bounds,
            )
            for others in ways
            if others is not None
            for value in around
        ]

    def _others(self, bounds: Bounds, column: int, varied: int) -> list[object] | None:
        """A row that leads where the bounds say, but for the varied feature; None if there is none.

        Of the features that make the column together, the others stay as they were in the base row,
        where it was found out for which value of the varied one it turns.
        """
        values = list(self._base)
        for feature, pool in enumerate(self._pools):
            if feature != varied and column not in self._lens.columns_of[feature]:
                found = pool.within(bounds, self._generator)
                if not found:
                    return None
                values[feature] = found[0]
        return values

    def _rows(self, probes: Sequence[_Probe]) -> Rows:
        import numpy as np

        columns = tuple(
            each.array([probe.values[feature] for probe in probes])
            for feature, each in enumerate(self._lens.candidates)
        )
        return Rows(columns, np.array([probe.feature for probe in probes], dtype=np.int64))

    def _checked(
        self, probes: Sequence[_Probe], rows: Rows, number: Mapping[tuple[int, float], int]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Which threshold each row really reaches, and on which side, as the transformers say."""
        import numpy as np

        threshold = np.full(len(probes), -1, dtype=np.int64)
        is_left = np.zeros(len(probes), dtype=np.bool_)
        seen: Any = self._lens.see(rows).tolist() if probes else []
        for place, (probe, view) in enumerate(zip(probes, seen, strict=True)):
            column, level = probe.key
            if all(_is_within(view[each], bound) for each, bound in probe.bounds.items()):
                is_missing = view[column] != view[column]
                threshold[place] = number[probe.key]
                is_left[place] = probe.missing_left if is_missing else view[column] <= level
        return threshold, is_left


class _Pool:
    """Values of one feature, in the order of what the trees see of them."""

    def __init__(
        self,
        lens: Lens,
        feature: int,
        columns: Sequence[int],
        turns: Mapping[tuple[int, float], Turn],
    ) -> None:
        import numpy as np

        mine = [turn for turn in turns.values() if turn.feature == feature]
        given = lens.candidates[feature]
        around = {value: None for turn in mine for value in (*turn.left, *turn.right)}
        self._values = [*given.all, *around]
        self._columns = columns
        self._seen = lens.view(feature, self._values)[:, columns]
        self._orders = np.argsort(self._seen, axis=0)
        self._sorted = np.take_along_axis(self._seen, self._orders, axis=0)  # NaN comes last
        self._numbers = np.count_nonzero(~np.isnan(self._seen), axis=0).tolist()
        self.missing = [value for value in given.special if value is None or value != value]

    def within(self, bounds: Bounds, generator: np.random.Generator) -> list[object]:
        """By chance one of the values whose columns lie within the bounds; or none."""
        import numpy as np

        chosen: NDArray[Any] | None = None
        for place, column in enumerate(self._columns):
            if column not in bounds:
                continue
            low, high, takes_missing = bounds[column]
            if chosen is None:
                start, end = np.searchsorted(self._sorted[:, place], (low, high), side="right")
                missing = self._numbers[place] if takes_missing else len(self._values)
                order = self._orders[:, place]
                chosen = np.concatenate([order[start:end], order[missing:]])
            else:
                seen = self._seen[chosen, place]
                fits = (low < seen) & (seen <= high)
                chosen = chosen[fits | (takes_missing & np.isnan(seen))]
        if chosen is None:
            return [self._values[generator.integers(len(self._values))]]
        return [self._values[chosen[generator.integers(len(chosen))]]] if len(chosen) else []


def _is_within(seen: float, bound: tuple[float, float, bool]) -> bool:
    low, high, takes_missing = bound
    return low < seen <= high or (takes_missing and seen != seen)


def _by_column(keys: Mapping[tuple[int, float], object]) -> dict[int, list[float]]:
    columns: dict[int, list[float]] = defaultdict(list)
    for column, threshold in keys:
        columns[column].append(threshold)
    return columns


def _bounds(tree: Tree, node: int) -> Bounds:
    """What a row must be like to get to the node; but for sets of categories on the way."""
    bounds: dict[int, tuple[float, float, bool]] = {}
    parents = tree.parents
    while node:
        parent = parents[node]
        column, level = int(tree.column[parent]), float(tree.threshold[parent])
        if column >= 0:
            low, high, missing = bounds.get(column, (float("-inf"), float("inf"), True))
            is_left = bool(tree.left[parent] == node)
            low, high = (low, min(high, level)) if is_left else (max(low, level), high)
            bounds[column] = (low, high, missing and is_left == bool(tree.missing_left[parent]))
        node = parent
    return bounds
