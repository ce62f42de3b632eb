"""Numbers for the model card, from cross-validated probabilities: pure functions of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from vitalcheck.imaging import LABELS, softmax

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]
Facts: TypeAlias = dict[str, object]

_NONE = LABELS.index("no_tumor")


def accuracy(labels: Indices, shares: Floats) -> float:
    """Share of pictures whose likeliest class is the true one; `shares` is [n, 4]."""
    return float((shares.argmax(1) == labels).mean())


def tumor_accuracy(labels: Indices, shares: Floats) -> float:
    """Share of pictures rightly told to show a tumour, of whatever kind, or none."""
    return float(((shares.argmax(1) == _NONE) == (labels == _NONE)).mean())


def macro_auc(labels: Indices, shares: Floats) -> float:
    """Mean over the classes of the area under the curve of one against the rest."""
    return float(np.mean([_auc(labels == k, shares[:, k]) for k in range(len(LABELS))]))


def recall(labels: Indices, shares: Floats, kind: int) -> float:
    """Share of the pictures of class `kind` that are recognised."""
    return float((shares.argmax(1)[labels == kind] == kind).mean())


def confusion(labels: Indices, shares: Floats) -> list[list[int]]:
    """Counts; rows are the true classes, columns the answers, both in the order of `LABELS`."""
    counts = np.zeros((len(LABELS), len(LABELS)), dtype=np.int64)
    np.add.at(counts, (labels, shares.argmax(1)), 1)
    return [[int(n) for n in row] for row in counts]


def metrics(
    labels: Indices, shares: Floats, groups: Indices, *, seed: int, resamples: int
) -> dict[str, Facts]:
    """Each metric with its 95 % interval from a bootstrap over groups of similar pictures."""
    measures: dict[str, Callable[[Indices, Floats], float]] = {
        "accuracy": accuracy,
        "macro_auc": macro_auc,
        "tumor_or_none_accuracy": tumor_accuracy,
    }
    for kind, label in enumerate(LABELS):
        measures[f"recall_{label}"] = partial(recall, kind=kind)
    draws = list(_resamples(labels, groups, np.random.default_rng(seed), resamples))
    return {name: _interval(f, labels, shares, draws) for name, f in measures.items()}


def temper(logits: Floats, temperature: float) -> Floats:
    """Logits of several views [n, views, 4] -> mean probabilities [n, 4], as the graph does."""
    return np.asarray(softmax(logits, temperature).mean(1))


def fit_temperature(logits: Floats, labels: Indices) -> float:
    """The temperature with the least log loss (Guo et al. 2017), to about 1 %."""
    grid = np.geomspace(0.25, 4.0, 281)
    return float(grid[np.argmin([log_loss(labels, temper(logits, t)) for t in grid])])


def log_loss(labels: Indices, shares: Floats) -> float:
    chosen = shares[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def calibration(labels: Indices, shares: Floats, bins: int = 10) -> Facts:
    """How far the stated confidence can be believed.

    `ece` is the expected calibration error over equal-width bins of the confidence.
    """
    confidence, right = shares.max(1), shares.argmax(1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    rows: list[Mapping[str, float | int]] = []
    error = 0.0
    for k in np.unique(place):
        inside = place == k
        stated, seen = float(confidence[inside].mean()), float(right[inside].mean())
        error += float(inside.mean()) * abs(stated - seen)
        rows.append(
            {
                "from": k / bins,
                "to": (k + 1) / bins,
                "images": int(inside.sum()),
                "stated": round(stated, 4),
                "observed": round(seen, 4),
            }
        )
    truth = np.eye(len(LABELS))[labels]
    return {
        "ece": round(error, 4),
        "log_loss": round(log_loss(labels, shares), 4),
        "brier": round(float(((shares - truth) ** 2).sum(1).mean()), 4),
        "bins": rows,
    }


def _auc(positive: NDArray[np.bool_], scores: Floats) -> float:
    """By ranks (Mann-Whitney), ties counted half."""
    ranks, n = rankdata(scores), int(positive.sum())
    over = float(ranks[positive].sum()) - n * (n + 1) / 2
    return over / (n * (len(scores) - n))


def _resamples(
    labels: Indices, groups: Indices, chance: np.random.Generator, count: int
) -> list[Indices]:
    """Rows of `count` bootstrap samples; each holds every class."""
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    draws: list[Indices] = []
    while len(draws) < count:
        chosen = chance.integers(0, len(members), len(members))
        rows = np.concatenate([members[k] for k in chosen])
        if len(np.unique(labels[rows])) == len(LABELS):
            draws.append(rows)
    return draws


def _interval(
    measure: Callable[[Indices, Floats], float],
    labels: Indices,
    shares: Floats,
    draws: list[Indices],
) -> Facts:
    values = [measure(labels[rows], shares[rows]) for rows in draws]
    low, high = np.percentile(values, (2.5, 97.5))
    return {
        "value": round(measure(labels, shares), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }
