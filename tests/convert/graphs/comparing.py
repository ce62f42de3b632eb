"""An estimator and its graph, asked the same rows: ordinary, lacking, unknown, at thresholds."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd

from loadonce.convert.graphs import build
from loadonce.convert.model import Feature, Graph
from loadonce.convert.stamping import described
from loadonce.loaders.predicting import places
from loadonce.loaders.rows import InputMatrix
from loadonce.loaders.signature import PROPERTY, Signature

MOST_ROWS = 300
NUMBERS = ("probabilities", "value", "scores", "label")
"""The outputs that tell by NaN what is refused."""


@dataclass(frozen=True)
class Comparison:
    """How far the graph is from the original.

    Args:
        labels: how many labels differ.
        difference: the largest between probabilities or values; relative above 1.
        rows: how many the original answered.
        refused: how many it refused; the graph has to give NaN for those.
        answered: how many of the refused ones the graph answered all the same.
    """

    labels: int
    difference: float
    rows: int
    refused: int
    answered: int


def compared(estimator: Any, rows: Any, graph: Graph | None = None) -> Comparison:
    """Compare on `rows` and on what can be made of them."""
    graph = graph or build(estimator, None)
    asked = variations(graph, rows)
    said = run(graph, asked)
    answers, is_answered = original(estimator, asked)
    kept = np.flatnonzero(is_answered)
    numbers = next(said[name] for name in NUMBERS if name in said)
    refused = np.flatnonzero(~is_answered)
    answered = int(
        np.isfinite(numbers[refused].reshape(len(refused), numbers[:1].size)).all(axis=1).sum()
    )
    labels = 0
    if graph.classes is not None:
        telling = said.get("label", said.get("probabilities"))
        named = np.array(graph.classes, dtype=graph.classes_dtype)[places(telling)]
        labels = int((named[kept] != answers["label"]).sum())
    wanted = answers.get("probabilities", answers.get("value"))
    difference = 0.0
    if wanted is not None:
        got = numbers[kept].astype(np.float64).reshape(wanted.shape)
        with np.errstate(invalid="ignore"):
            gap = np.abs(got - wanted) / np.maximum(1.0, np.abs(wanted))
        gap[(got == wanted)] = 0.0
        assert not np.isnan(gap).any()
        difference = float(gap.max())
    return Comparison(labels, difference, len(kept), len(refused), answered)


def run(graph: Graph, rows: Any) -> dict[str, Any]:
    """The graph's outputs by name, for rows as its predictor takes them."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(
        graph.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    stated = {**described(graph), "parity": {"refuses": {}}}
    matrix = InputMatrix(Signature.parse({PROPERTY: json.dumps(stated)}))
    fed = {"X": matrix(np.asarray(rows, dtype=object))}
    return dict(zip(names, session.run(names, fed), strict=True))


def original(estimator: Any, rows: Any) -> tuple[dict[str, Any], Any]:
    """Its answers, and which rows it gives any for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = np.asarray(sorted(_accepted(estimator, rows, 0, len(rows))), dtype=int)
        chosen = _taken(rows, kept)
        found: dict[str, Any] = {}
        if hasattr(estimator, "classes_"):
            found["label"] = estimator.predict(chosen)
            if hasattr(estimator, "predict_proba"):
                found["probabilities"] = estimator.predict_proba(chosen)
        else:
            found["value"] = np.asarray(estimator.predict(chosen)).ravel()
    return found, np.isin(np.arange(len(rows)), kept)


def _accepted(estimator: Any, rows: Any, start: int, end: int) -> Iterator[int]:
    try:
        estimator.predict(_taken(rows, np.arange(start, end)))
    except ValueError:
        if end - start > 1:
            middle = (start + end) // 2
            yield from _accepted(estimator, rows, start, middle)
            yield from _accepted(estimator, rows, middle, end)
    else:
        yield from range(start, end)


def _taken(rows: Any, indexes: Any) -> Any:
    return rows.iloc[indexes] if isinstance(rows, pd.DataFrame) else rows[indexes]


def variations(graph: Graph, rows: Any) -> Any:
    """`rows`, and copies of single rows with one value replaced."""
    count = len(rows)
    changes = [
        (number, value)
        for number, feature in enumerate(graph.features)
        for value in _values(feature)
    ]
    step = max(1, len(changes) // MOST_ROWS)
    changes = changes[::step]
    sources = np.arange(len(changes)) % count
    extra = _taken(rows, sources).copy()
    for place, (number, value) in enumerate(changes):
        if isinstance(extra, pd.DataFrame):
            extra.iloc[place, number] = value
        else:
            extra[place, number] = value
    if isinstance(rows, pd.DataFrame):
        return pd.concat([rows, extra], ignore_index=True)
    return np.concatenate([rows, extra])


def _values(feature: Feature) -> Iterator[Any]:
    if feature.type == "text":
        yield from (np.nan, "unseen", "", *feature.texts)
        return
    yield from (np.nan, 0.0, -0.5, 1e5, -1e5)
    for threshold in feature.thresholds:
        yield threshold
        with np.errstate(over="ignore"):
            single = np.float32(threshold)
        for side in (np.inf, -np.inf):
            beside = (np.nextafter(threshold, side), np.nextafter(single, np.float32(side)))
            yield from (float(value) for value in beside if np.isfinite(value))
