"""For every pair of a declared format and a real one, the load succeeds or fails cleanly; no loader
hands a file on to a weaker one."""

from __future__ import annotations

import io
import itertools
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import skops.io
import torch
import xgboost
from sklearn.linear_model import LogisticRegression

from loadonce import lock_directory
from loadonce.convert import convert_file
from loadonce.errors import ArtifactError, LoaderFailedError
from loadonce.loaders.table import BUILT_IN

DATA = np.arange(80.0).reshape(40, 2)


class Evil:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


def _saved(save: Any, *arguments: Any) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(*(file if argument is ... else argument for argument in arguments))
    return file.getvalue()


@pytest.fixture(scope="module")
def marker(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("marker") / "executed")


def _network() -> bytes:
    helper = onnx.helper
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", [x], [y])
    opset = [helper.make_opsetid("", 20)]
    content: bytes = helper.make_model(graph, ir_version=9, opset_imports=opset).SerializeToString()
    return content


def _converted(model: LogisticRegression, root: Path) -> bytes:
    joblib.dump(model, root / "m.joblib")
    lock_directory(root)
    return (root / convert_file(root, "m.joblib").path).read_bytes()


@pytest.fixture(scope="module")
def files(marker: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One file of each format, and hostile pickles in the containers other loaders might open."""
    model = LogisticRegression().fit(DATA, [0, 1] * 20)
    program = torch.export.export(torch.nn.Linear(2, 1), (torch.ones(1, 2),))
    script = torch.jit.script
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = script(torch.nn.Linear(2, 1))
    booster = lightgbm.train(
        {"verbose": -1, "num_threads": 1}, lightgbm.Dataset(DATA, DATA[:, 0]), 2
    )
    return {
        "joblib": _saved(joblib.dump, model, ...),
        "onnx": _network(),
        "predictor": _converted(model, tmp_path_factory.mktemp("converted")),
        "parquet": _saved(pq.write_table, pa.table({"a": [1]}), ...),
        "json": b'{"a": 1}',
        "numpy": _saved(np.save, ..., DATA),
        "torch": _saved(torch.save, {"w": torch.ones(1)}, ...),
        "torchscript": _saved(torch.jit.save, scripted, ...),
        "torch-export": _saved(torch.export.save, program, ...),
        "safetensors": safetensors.numpy.save({"a": DATA}),
        "skops": skops.io.dumps(model),
        "xgboost": bytes(
            xgboost.train({"nthread": 1}, xgboost.DMatrix(DATA, DATA[:, 0]), 2).save_raw("ubj")
        ),
        "lightgbm": booster.model_to_string().encode(),
        "hostile pickle": pickle.dumps(Evil(marker)),
        "hostile joblib": _saved(joblib.dump, [DATA, Evil(marker)], ...),
        "hostile npy": _saved(np.save, ..., np.array([Evil(marker)], dtype=object)),
        "hostile torch": _saved(torch.save, Evil(marker), ...),
        "empty": b"",
        "text": b"hello",
    }


REAL = [loader.name for loader in BUILT_IN]
PAIRS = [
    *itertools.product(BUILT_IN, [*REAL, "empty", "text"]),
    *itertools.product(
        BUILT_IN, ["hostile pickle", "hostile joblib", "hostile npy", "hostile torch"]
    ),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("loader", "real"), PAIRS, ids=lambda value: getattr(value, "name", value))
def test_a_declared_format_reads_itself_and_nothing_else(
    shelf: Any, files: dict[str, bytes], marker: str, loader: Any, real: str
) -> None:
    shelf.put("file", files[real])
    source = shelf.vouched("file", loader.name, HONEST if real == loader.name == "joblib" else ())
    if real == loader.name or (loader.name, real) == ("onnx", "predictor"):  # an ONNX file, too
        assert loader.load(source) is not None
    else:
        with pytest.raises((LoaderFailedError, ArtifactError)):
            loader.load(source)
    assert not os.path.exists(marker)
    assert Path(marker).parent.exists()


HONEST = (
    "joblib.numpy_pickle.NumpyArrayWrapper",
    "numpy.dtype",
    "numpy.float64",
    "numpy._core.multiarray.scalar",
    "numpy.ndarray",
    "sklearn.linear_model._logistic.LogisticRegression",
)
