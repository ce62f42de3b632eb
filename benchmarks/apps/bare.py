"""The floor without any server: microseconds of the model call alone. Argument: seconds."""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .models import SIDE, load, network

BATCH = 64
Rows = list[dict[str, Any]]
Call = Callable[[], object]


def microseconds(calls: Sequence[Call], seconds: float) -> float:
    """The median time of a call, of all calls in turn: the same row again would be in the cache."""
    calls[0]()
    times: list[float] = []
    end = time.perf_counter() + seconds
    for call in cycle(calls):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
        if time.perf_counter() >= end:
            break
    return median(times) * 1e6


def inputs(session: Any, rows: Rows) -> dict[str, Any]:
    """The rows as a converted graph takes them: one matrix, of texts their places."""
    stated = json.loads(session.get_modelmeta().custom_metadata_map["loadonce.predictor"])
    columns = []
    for feature in stated["features"]:
        column = [row[feature["name"]] for row in rows]
        columns.append([*map(feature["texts"].index, column)] if "texts" in feature else column)
    return {"X": np.ascontiguousarray(np.array(columns, dtype=np.float64).T)}


def callers(workload: str) -> dict[str, Callable[[Rows], Call]]:
    """For each library: from rows to the call that is timed for them."""
    model = load()
    if workload == "cnn":
        return {"onnx": lambda rows: _picture_call(model, rows)}
    import pandas as pd

    found: dict[str, Callable[[Rows], Call]] = {
        "sklearn": lambda rows: lambda: model.predict_proba(pd.DataFrame(rows))
    }
    converted = Path(os.environ["BENCH_ARTIFACTS"]) / f"{workload}.predictor.onnx"
    if converted.exists():
        session = network(converted)
        found["onnx"] = lambda rows: _session_call(session, inputs(session, rows))
    return found


def _picture_call(session: Any, rows: Rows) -> Call:
    pixels = np.array([row["pixels"] for row in rows], dtype=np.float32)
    return _session_call(session, {"pixels": pixels.reshape(-1, 1, SIDE, SIDE)})


def _session_call(session: Any, arrays: dict[str, Any]) -> Call:
    return lambda: session.run(None, arrays)


def main(seconds: float) -> None:
    rows = json.loads(sys.stdin.read())
    timed = {}
    for name, caller in callers(os.environ["BENCH_WORKLOAD"]).items():
        for count in (1, BATCH):
            calls = [caller(rows[at : at + count]) for at in range(0, len(rows), count)]
            timed[f"{name}_{count}"] = microseconds(calls, seconds) / count
    print(json.dumps(timed))


if __name__ == "__main__":
    main(float(sys.argv[1]))
