"""The reference row of a model: where Shapley effects start from."""

from __future__ import annotations

import numpy as np

from vitalcheck.features import Feature, FloatArray, Value
from vitalcheck.training.data import Dataset
from vitalcheck.training.evaluation import SMALLEST_CELL

AMONG_HEALTHY = (
    "The typical training row without the condition: the median of each number and the most common "
    "level of each choice, among the rows where it is known."
)
AMONG_ALL = (
    "The typical training row: the median of each number and the most common level of each "
    "choice, among the rows where it is known."
)


def typical_row(dataset: Dataset, chosen: FloatArray | None = None) -> dict[str, Value]:
    """Medians and most common levels by feature, of the rows where `chosen` is not 0 (all if None).

    Survey weights count. No row of a person is shown: every value is that of at least
    `SMALLEST_CELL` rows, or ValueError.
    """
    share = dataset.weights if chosen is None else dataset.weights * (chosen != 0)
    table = dataset.features
    codes = [
        _typical(feature, dataset.inputs[:, column], share)
        for column, feature in enumerate(table.features)
    ]
    return table.decode(np.array(codes))


def _typical(feature: Feature, values: FloatArray, share: FloatArray) -> float:
    known = ~np.isnan(values) & (share > 0)
    if known.sum() < SMALLEST_CELL:
        raise ValueError(f"{feature.name} is known in fewer than {SMALLEST_CELL} rows")
    values, share = values[known], share[known]
    if feature.kind in ("choice", "boolean"):
        return float(np.bincount(values.astype(np.int64), weights=share).argmax())
    order = np.argsort(values, kind="stable")
    half = np.searchsorted(np.cumsum(share[order]), share.sum() / 2)
    return float(f"{values[order][half]:.4g}")
