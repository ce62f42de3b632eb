"""The artifacts that every contender serves, and the rows it is checked with; seeded.

Runs in the harness's environment, whose scikit-learn every contender has too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .contenders import TABULAR, Workload
from .places import (
    ARTIFACTS,
    MODELS,
    REQUIREMENTS,
    SOURCES,
    VITALCHECK,
    executable,
    mlserver_directory,
)

ROWS: Final = 256
"""How many rows each contender's answers are compared on."""
_SEED: Final = 20_261_125
_TRAINING_ROWS: Final = 5_200
_TREES: Final = 200
_SIDE: Final = 16
_BATCH: Final = {"max_batch_size": 64, "max_batch_time": 0.005}


def make() -> None:
    """Make what is not there, or was made by another version of this file."""
    inputs = [Path(__file__), REQUIREMENTS / "harness.txt"]
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()
    stamp = ARTIFACTS / "stamp"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(ARTIFACTS, ignore_errors=True)
        MODELS.mkdir(parents=True)
        _make_tabular()
        _make_network()
        _make_mlserver()
        stamp.write_text(wanted)
    _make_vitalcheck()  # whose artifacts belong to the clone, not to this file


def rows(workload: Workload) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of a workload, and the original's replies, asked for one row at a time."""
    found = json.loads((ARTIFACTS / f"{workload}.rows.json").read_text())
    return found["rows"], found["replies"]


def convert() -> str | None:
    """Convert and lock with this clone's loadonce; the reason if something was not converted."""
    command = [str(executable("repository", "loadonce"))]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, SOURCES))}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    reasons = []
    for part in ("lock", *(["convert"] if _is_conversion_due() else [])):
        done = subprocess.run(
            [*command, part, str(MODELS)], env=environ, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            reasons.append(_without_frames(done.stdout + done.stderr))
    return "; ".join(reasons) or None


def _without_frames(text: str) -> str:
    """What a command said, without the boxes that it draws on a terminal."""
    return " ".join(re.sub(r"[\u2500-\u257f]", " ", text).split())[-300:]


def is_converted(workload: str) -> bool:
    """Whether there is what a converted contender serves; a network needs no conversion."""
    return workload not in TABULAR or _predictor(workload).exists()


def _predictor(workload: str) -> Path:
    return MODELS / f"{workload}.predictor.onnx"


def _is_conversion_due() -> bool:
    converted = [_predictor(workload) for workload in TABULAR]
    if not all(path.exists() for path in converted):
        return True
    sources = (SOURCES[0] / "loadonce" / "convert").rglob("*.py")
    newest = max((path.stat().st_mtime for path in sources), default=0.0)
    return min(path.stat().st_mtime for path in converted) < newest


def _write_rows(workload: Workload, asked: Sequence[object], replies: Sequence[object]) -> None:
    text = json.dumps({"rows": asked, "replies": replies})
    (ARTIFACTS / f"{workload}.rows.json").write_text(text)


def _people(count: int, seed: int) -> Any:
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": random.integers(18, 95, count).astype(float),
            "bmi": random.normal(27, 5, count).round(1),
            "systolic": random.normal(130, 18, count).round(0),
            "cholesterol": random.normal(210, 40, count).round(1),
            "glucose": random.gamma(9, 12, count).round(1),
            "heart_rate": random.normal(72, 11, count).round(0),
            "sex": random.choice(["female", "male"], count),
            "smoker": random.choice(["never", "former", "current"], count, p=[0.55, 0.25, 0.2]),
            "region": random.choice(["north", "east", "south", "west"], count),
        }
    )


def _make_tabular() -> None:
    import joblib
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    people = _people(_TRAINING_ROWS, _SEED)
    numbers, texts = list(people.columns[:6]), list(people.columns[6:])
    risk = (people["age"] - 55) / 20 + (people["bmi"] - 27) / 8 + (people["glucose"] - 108) / 50
    risk += people["smoker"].map({"never": -0.4, "former": 0.1, "current": 0.8})
    noise = np.random.default_rng(_SEED + 1).logistic(0, 1, len(people))
    target = np.where(risk + noise > 0.3, "high", "low")
    asked = _people(ROWS, _SEED + 2)
    last: dict[Workload, Any] = {
        "pipeline": LogisticRegression(max_iter=1000),
        "forest": RandomForestClassifier(_TREES, random_state=_SEED % 2**31),
    }
    for workload, estimator in last.items():
        scaled = ("numbers", StandardScaler(), numbers)
        encoded = ("texts", OneHotEncoder(handle_unknown="ignore"), texts)
        model = Pipeline([("columns", ColumnTransformer([scaled, encoded])), ("model", estimator)])
        model.fit(people, target)
        joblib.dump(model, MODELS / f"{workload}.joblib")
        found = [model.predict_proba(asked.iloc[[at]])[0] for at in range(ROWS)]
        _write_rows(workload, asked.to_dict("records"), _replies(found, list(model.classes_)))


def _replies(probabilities: Sequence[Any], labels: Sequence[object]) -> list[dict[str, Any]]:
    return [
        {"label": str(labels[int(row.argmax())]), "probability": float(row.max())}
        for row in probabilities
    ]


def _make_network() -> None:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(_SEED + 3)

    def weight(name: str, *shape: int) -> Any:
        scale = np.sqrt(2 / np.prod(shape[1:]))
        return numpy_helper.from_array((random.normal(0, scale, shape)).astype(np.float32), name)

    wide = [1, 1, 1, 1]
    nodes = [
        helper.make_node("Conv", ["pixels", "w1"], ["c1"], pads=wide),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2"], ["c2"], pads=wide),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Conv", ["r2", "w3"], ["c3"], pads=wide),
        helper.make_node("Relu", ["c3"], ["r3"]),
        helper.make_node("GlobalAveragePool", ["r3"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w4"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    weights = [
        weight("w1", 32, 1, 3, 3),
        weight("w2", 64, 32, 3, 3),
        weight("w3", 80, 64, 3, 3),
        weight("w4", 10, 80),
    ]
    shape: list[str | int | None] = ["n", 1, _SIDE, _SIDE]
    taken = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)]
    given = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 10])]
    graph = helper.make_graph(nodes, "cnn", taken, given, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    path = MODELS / "cnn.onnx"
    onnx.save(model, path)
    _write_pictures(path)


def _write_pictures(path: Path) -> None:
    import numpy as np

    from .apps.models import network

    pictures = np.random.default_rng(_SEED + 4).random((ROWS, _SIDE**2)).round(3)
    session = network(path)
    shaped = pictures.astype(np.float32).reshape(-1, 1, 1, _SIDE, _SIDE)
    found = [session.run(None, {"pixels": picture})[0][0] for picture in shaped]
    asked = [{"pixels": picture.tolist()} for picture in pictures]
    _write_rows("cnn", asked, _replies(found, range(10)))


def _make_mlserver() -> None:
    for workload in TABULAR:
        for is_batched in (False, True):
            directory = mlserver_directory(workload, is_batched)
            directory.mkdir(parents=True)
            settings = {
                "name": workload,
                "implementation": "mlserver_sklearn.SKLearnModel",
                "parameters": {"uri": str(MODELS / f"{workload}.joblib")},
                **(_BATCH if is_batched else {}),
            }
            (directory / "model-settings.json").write_text(json.dumps(settings))
            (directory / "settings.json").write_text("{}")


def _make_vitalcheck() -> None:
    import joblib
    import numpy as np

    sys.path.insert(0, str(SOURCES[1]))
    from vitalcheck.features import DIABETES

    random = np.random.default_rng(_SEED + 5)
    model = joblib.load(VITALCHECK / "diabetes.joblib")
    asked = []
    for _ in range(ROWS):
        row: dict[str, float | int | None] = {}
        for item in DIABETES.features:
            low, high = item.low or 0.0, item.high or 100.0
            value = round(float(random.uniform(low, (low + high) / 2)), 1)
            is_missing = item.optional and random.random() < 0.2
            row[item.name] = None if is_missing else int(value) if item.kind == "integer" else value
        asked.append(row)
    found = [model.predict_proba(DIABETES.encode([row]))[0, 1] for row in asked]
    _write_rows("vitalcheck", asked, [{"probability": float(one)} for one in found])
