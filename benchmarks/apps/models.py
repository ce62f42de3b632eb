"""Loading and calling the models as tutorials do; every contender but loadonce uses these."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .schemas import Answer, Picture, Row

SIDE = 16


def load() -> Any:
    """The artifact of the workload that `BENCH_WORKLOAD` names."""
    directory, workload = Path(os.environ["BENCH_ARTIFACTS"]), os.environ["BENCH_WORKLOAD"]
    if workload == "cnn":
        return network(directory / "cnn.onnx")
    import joblib

    return joblib.load(directory / f"{workload}.joblib")


def network(path: Path) -> Any:
    """An ONNX Runtime session with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def assess(pipeline: Any, rows: Sequence[Row]) -> list[Answer]:
    """A scikit-learn pipeline asked about some rows at once."""
    import pandas as pd

    frame = pd.DataFrame([row.model_dump() for row in rows])
    return answers(pipeline.predict_proba(frame), pipeline.classes_)


def recognise(session: Any, pictures: Sequence[Picture]) -> list[Answer]:
    """The network asked about some pictures at once."""
    pixels = np.array([picture.pixels for picture in pictures], dtype=np.float32)
    (probabilities,) = session.run(None, {"pixels": pixels.reshape(-1, 1, SIDE, SIDE)})
    return answers(probabilities, range(probabilities.shape[1]))


def answers(probabilities: Any, labels: Sequence[object]) -> list[Answer]:
    """The likeliest of `labels` for each row of `probabilities`."""
    best = probabilities.argmax(axis=1)
    return [
        Answer(label=str(labels[column]), probability=float(row[column]))
        for row, column in zip(probabilities, best, strict=True)
    ]
