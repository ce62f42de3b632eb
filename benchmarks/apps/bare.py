"""The floor without any server: microseconds of the model call alone. Argument: seconds."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .models import SIDE, load, network

BATCH = 64


def microseconds(call: Callable[[], object], seconds: float) -> float:
    """The median time of a call."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return median(times) * 1e6


def inputs(session: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The rows as a converted graph takes them: one array for each feature."""
    kinds = {"tensor(double)": np.float64, "tensor(string)": np.object_}
    return {
        wanted.name: np.array([[row[wanted.name]] for row in rows], dtype=kinds[wanted.type])
        for wanted in session.get_inputs()
    }


def calls(workload: str, rows: list[dict[str, Any]]) -> dict[str, Callable[[], object]]:
    """What is timed for some rows."""
    model = load()
    if workload == "cnn":
        pixels = np.array([row["pixels"] for row in rows], dtype=np.float32)
        taken = {"pixels": pixels.reshape(-1, 1, SIDE, SIDE)}
        return {"onnx": lambda: model.run(None, taken)}
    import pandas as pd

    found: dict[str, Callable[[], object]] = {
        "sklearn": lambda: model.predict_proba(pd.DataFrame(rows))
    }
    converted = Path(os.environ["BENCH_ARTIFACTS"]) / f"{workload}.predictor.onnx"
    if converted.exists():
        session = network(converted)
        arrays = inputs(session, rows)
        found["onnx"] = lambda: session.run(None, arrays)
    return found


def main(seconds: float) -> None:
    rows = json.loads(sys.stdin.read())
    timed = {
        f"{name}_{count}": microseconds(call, seconds) / count
        for count in (1, BATCH)
        for name, call in calls(os.environ["BENCH_WORKLOAD"], rows[:count]).items()
    }
    print(json.dumps(timed))


if __name__ == "__main__":
    main(float(sys.argv[1]))
