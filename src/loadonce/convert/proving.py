"""The proof: the original and its graph give equal answers on stored rows, on sampled ones, and on
rows at and beside every threshold of every tree."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loadonce.convert.answers import Answers, Converted, Original
from loadonce.convert.candidates import (
    accepted_values,
    find_base,
    refused_kinds,
    usual_values,
)
from loadonce.convert.report import Difference, Proof
from loadonce.convert.rows import Rows, every_value, sample
from loadonce.convert.stored import stored_rows
from loadonce.convert.thresholds import rows_at_thresholds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loadonce.convert.model import Graph

_SAMPLED = 2_000
_ONE_BY_ONE = 200
_SHOWN = 10
_TIE = 16 * 2.0**-52
"""Up to here two probabilities of the original count as equal: sums over trees and classes are not
taken in the same order, and after a few roundings it is chance which of two equal ones is ahead."""


def prove(
    estimator: Any, graph: Graph, request: Mapping[str, Any]
) -> tuple[Proof, dict[str, list[str]]]:
    """Compare; and tell, by kind of value, the features for which the original refuses it.

    Args:
        estimator: the original.
        graph: its graph.
        request: `rows` and `golden` (stored rows), `seed`, `tolerance`.

    Raises:
        StoredRowsError: the stored rows lack features.
        NoRowAcceptedError: the original answers nothing.
    """
    import numpy as np

    generator = np.random.default_rng(request["seed"])
    original = Original(estimator, graph)
    stored = stored_rows(graph, request["rows"], request["golden"])
    with _quietly_alone():
        candidates = usual_values(estimator, graph, stored)
        base = find_base(original, candidates, generator)
        candidates, refused = accepted_values(original, candidates, base)
        sampled = [sample(candidates, _SAMPLED, generator), every_value(candidates, base)]
        reached = rows_at_thresholds(original, candidates, base, generator)
        rows = Rows.together([stored, *sampled, reached.rows])
        proof, accepted = _compare(original, graph, rows, len(stored), request["tolerance"])
        answered = _answered(graph, Rows.together([refused, rows.take(~accepted)]))
    proof = replace(
        proof,
        left_out=proof.left_out + len(refused),
        left_out_but_answered=answered,
        thresholds=reached.total,
        thresholds_compared=reached.compared(accepted[len(rows) - len(reached.rows) :]),
    )
    names = [feature.name for feature in graph.features]
    kinds = refused_kinds(refused)
    return proof, {kind: [names[each] for each in features] for kind, features in kinds.items()}


@contextlib.contextmanager
def _quietly_alone() -> Iterator[None]:
    """Extremes overflow, as they should; and this process may start no others."""
    import joblib
    import numpy as np

    with (
        joblib.parallel_config("sequential"),
        np.errstate(all="ignore"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def _compare(
    original: Original, graph: Graph, rows: Rows, stored: int, tolerance: float
) -> tuple[Proof, NDArray[np.bool_]]:
    """The comparison, and which rows the original answers."""
    import numpy as np

    accepted, wanted = original.answers_to_all(rows)
    where = np.flatnonzero(accepted)
    asked = rows.take(where)
    converted = Converted(graph)
    verdict = judge(wanted, converted.answers(asked), graph.classes)
    some = np.unique(np.linspace(0, len(where) - 1, _ONE_BY_ONE).astype(int))
    alone = judge(wanted.take(some), converted.answers_one_by_one(asked.take(some)), graph.classes)
    verdict.amount[some] = np.maximum(verdict.amount[some], alone.amount)
    verdict.is_other_label[some] |= alone.is_other_label
    is_bad = verdict.is_other_label | ~(verdict.amount <= tolerance)
    shown = [
        _difference(graph, rows, stored, int(where[at]), verdict, int(at))
        for at in np.flatnonzero(is_bad)[:_SHOWN]
    ]
    proof = Proof(
        rows=len(where),
        stored=int(np.count_nonzero(where < stored)),
        left_out=len(rows) - len(where),
        ties=verdict.ties,
        one_by_one=len(some),
        largest_difference=float(np.max(verdict.amount)),
        tolerance=tolerance,
        differing=int(np.count_nonzero(is_bad)),
        differences=tuple(shown),
    )
    return proof, accepted


def _answered(graph: Graph, refused: Rows) -> int:
    """To how many rows that the original refuses the graph gives a number nevertheless."""
    import numpy as np

    numbers = Converted(graph).answers(refused).numbers
    return int(np.count_nonzero(~np.isnan(numbers).any(axis=1)))


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """Row by row.

    Args:
        is_other_label: the labels differ, and not by chance.
        amount: the largest difference of a number; NaN never, infinity where one side has no
            number and the other has.
        ties: labels that differ by chance.
    """

    is_other_label: NDArray[np.bool_]
    amount: NDArray[np.float64]
    ties: int


def judge(wanted: Answers, found: Answers, classes: Sequence[object] | None) -> Verdict:
    """Compare what the original said with what the graph says.

    Labels must be equal. Where they are not, the row is a tie, and no difference, if the original
    gives the graph's label a probability that equals its best one but for a few roundings.
    """
    import numpy as np

    count = len(wanted.numbers)
    if wanted.numbers.shape != found.numbers.shape:
        return Verdict(np.ones(count, dtype=bool), np.full(count, np.inf), 0)
    with np.errstate(invalid="ignore"):  # of infinities
        amount = np.abs(found.numbers - wanted.numbers) / np.maximum(1.0, np.abs(wanted.numbers))
    alike = (wanted.numbers == found.numbers) | (np.isnan(wanted.numbers) & np.isnan(found.numbers))
    amount = np.where(alike, 0.0, np.where(np.isnan(amount), np.inf, amount))
    amount = amount.max(axis=1, initial=0.0)
    if wanted.labels is None or found.labels is None:
        is_other = np.full(count, (wanted.labels is None) is not (found.labels is None))
        return Verdict(is_other, amount, 0)
    is_other = np.asarray(wanted.labels != found.labels)
    tied = is_other & _ties(wanted.numbers, found.labels, classes or ())
    return Verdict(is_other & ~tied, amount, int(np.count_nonzero(tied)))


def _ties(
    probabilities: NDArray[np.float64], labels: NDArray[Any], classes: Sequence[object]
) -> NDArray[np.bool_]:
    """Where `labels` are as probable as the most probable class."""
    import numpy as np

    if probabilities.shape[1] != len(classes):
        return np.zeros(len(labels), dtype=bool)
    place = {str(each): number for number, each in enumerate(classes)}
    chosen = np.array([place.get(str(label), -1) for label in labels.tolist()], dtype=int)
    given = probabilities[np.arange(len(chosen)), chosen]
    return np.asarray((chosen >= 0) & (given >= probabilities.max(axis=1) - _TIE))


def _difference(
    graph: Graph, rows: Rows, stored: int, row: int, verdict: Verdict, at: int
) -> Difference:
    probed = int(rows.probed[row])
    is_label = bool(verdict.is_other_label[at])
    number = "probability" if graph.kind == "classifier" else "value"
    return Difference(
        row=row if row < stored else row - stored,
        is_stored=row < stored,
        feature=graph.features[probed].name if probed >= 0 else "",
        what="label" if is_label else number,
        amount=1.0 if is_label else float(verdict.amount[at]),
    )
