"""Shapley values of one prediction: how much each feature moves it away from a reference's.

The value of a coalition is the prediction for a row that takes the coalition's features from the
case and all others from the reference (Strumbelj and Kononenko 2014; "interventional" values in
Lundberg and Lee 2017, with a single reference). Features equal to the reference have an effect of
exactly 0 and are left out before anything is enumerated.

Pure functions on arrays: nothing here knows a model, a request or a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .features import FloatArray

Predict = Callable[[FloatArray], FloatArray]
"""Rows (n, features) -> n predictions."""
BoolArray = npt.NDArray[np.bool_]

EXACT_FEATURES: Final = 13
"""Models with at most so many features get exact values."""
EXACT_DIFFERING: Final = 10
"""Models with more get them too, where at most so many features differ from the reference."""
PAIRS: Final = 32
"""Sampled permutations, each also walked backwards (antithetic)."""
_SEED: Final = 20_260_101
_ROWS_AT_ONCE: Final = 16_384


@dataclass(frozen=True, slots=True)
class Case:
    """A row (features,) to predict, and the reference (features,) to explain it against.

    Without a reference the prediction is made and not explained.
    """

    row: FloatArray
    reference: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case's prediction; with a reference also its prediction and each feature's effect.

    The effects (features,) add up to `prediction - baseline`.
    """

    prediction: float
    baseline: float | None = None
    effects: FloatArray | None = None


def explain(predict: Predict, cases: Sequence[Case]) -> list[Outcome]:
    """One outcome for each case, with the rows of all cases predicted together.

    The rows go to `predict` at most 16,384 at a time, so that a burst of cases stays small in
    memory.
    """
    plans = [_Plan(case) for case in cases]
    rows = np.concatenate([plan.rows for plan in plans])
    chunks = range(0, len(rows), _ROWS_AT_ONCE)
    values = np.concatenate([predict(rows[at : at + _ROWS_AT_ONCE]) for at in chunks])
    ends = np.cumsum([len(plan.rows) for plan in plans])
    parts = np.split(values.astype(np.float64), ends[:-1])
    return [plan.outcome(part) for plan, part in zip(plans, parts, strict=True)]


class _Plan:
    """The rows whose predictions one case needs, and what to make of them."""

    def __init__(self, case: Case) -> None:
        self._case = case
        if case.reference is None:
            self.rows = case.row[np.newaxis]
            return
        self._differing = differing(case.row, case.reference)
        count = len(self._differing)
        self._is_exact = is_exact(len(case.row), count)
        masks = all_coalitions(count) if self._is_exact else sampled_coalitions(count)
        self.rows = np.tile(case.reference, (len(masks), 1))
        self.rows[:, self._differing] = np.where(
            masks, case.row[self._differing], case.reference[self._differing]
        )

    def outcome(self, values: FloatArray) -> Outcome:
        if self._case.reference is None:
            return Outcome(float(values[0]))
        effects = np.zeros(len(self._case.row))
        count = len(self._differing)
        effects[self._differing] = (
            exact_effects(values) if self._is_exact else sampled_effects(values, count)
        )
        return Outcome(float(values[-1]), float(values[0]), effects)


def differing(row: FloatArray, reference: FloatArray) -> npt.NDArray[np.intp]:
    """The columns in which two rows differ; missing in both is no difference."""
    same = (row == reference) | (np.isnan(row) & np.isnan(reference))
    return np.flatnonzero(~same)


def is_exact(features: int, differing: int) -> bool:
    """Whether every coalition is looked at, or a sample of them."""
    return features <= EXACT_FEATURES or differing <= EXACT_DIFFERING


def rows_needed(case: Case) -> int:
    """How many predictions it takes to answer this case."""
    if case.reference is None:
        return 1
    count = len(differing(case.row, case.reference))
    return 2**count if is_exact(len(case.row), count) else 2 + 2 * PAIRS * (count - 1)


def all_coalitions(count: int) -> BoolArray:
    """Every coalition of `count` features: bool (2**count, count); the row's number is its mask."""
    numbers = np.arange(2**count)[:, np.newaxis]
    return np.asarray((numbers >> np.arange(count)) & 1 == 1)


def exact_effects(values: FloatArray) -> FloatArray:
    """The values of all coalitions, in the order of `all_coalitions` -> the features' effects.

    Shapley 1953: the weighted mean of what a feature adds to each coalition of the others.
    """
    count = len(values).bit_length() - 1
    if count == 0:
        return np.empty(0)
    sizes = all_coalitions(count - 1).sum(axis=1)
    weights = _weights(count)[sizes]
    effects = np.empty(count)
    for feature in range(count):
        split = values.reshape(-1, 2, 2**feature)
        effects[feature] = weights @ (split[:, 1] - split[:, 0]).ravel()
    return effects


def _weights(count: int) -> FloatArray:
    """The weight of a coalition of 0 .. count-1 others: size! (count-1-size)! / count!"""
    weights = np.empty(count)
    weights[0] = 1 / count
    for size in range(1, count):
        weights[size] = weights[size - 1] * size / (count - size)
    return weights


def permutations(count: int) -> npt.NDArray[np.intp]:
    """The sampled orders of `count` features (2 * PAIRS, count): always the same ones."""
    random = np.random.default_rng(_SEED)
    forward = random.permuted(np.tile(np.arange(count), (PAIRS, 1)), axis=1)
    return np.concatenate([forward, forward[:, ::-1]])


def sampled_coalitions(count: int) -> BoolArray:
    """The coalitions met while walking the sampled orders (Castro et al. 2009; antithetic pairs as
    in Mitchell et al. 2022): first the empty one, last the full one, between them every order's
    proper prefixes: bool (2 + 2 * PAIRS * (count - 1), count).
    """
    position = np.argsort(permutations(count), axis=1)
    steps = np.arange(1, count)[np.newaxis, :, np.newaxis]
    prefixes = (position[:, np.newaxis, :] < steps).reshape(-1, count)
    empty, full = np.zeros((1, count), dtype=bool), np.ones((1, count), dtype=bool)
    return np.concatenate([empty, prefixes, full])


def sampled_effects(values: FloatArray, count: int) -> FloatArray:
    """The values of `sampled_coalitions(count)` -> the features' effects.

    Each order's steps telescope from the empty to the full coalition, so the effects add up.
    """
    orders = permutations(count)
    path = np.empty((len(orders), count + 1))
    path[:, 0], path[:, -1] = values[0], values[-1]
    path[:, 1:-1] = values[1:-1].reshape(len(orders), count - 1)
    effects = np.zeros(count)
    np.add.at(effects, orders, np.diff(path, axis=1))
    return effects / len(orders)
