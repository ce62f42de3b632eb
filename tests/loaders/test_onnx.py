"""ONNX networks load on one thread, with external data from locked files only (A12)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from loadonce.artifacts import LockFile, read_verified
from loadonce.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ArtifactNotLockedError,
    ConfigurationError,
    LoaderFailedError,
)
from loadonce.loaders import find, lock_directory, lock_file

WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)
ROW = np.array([[1.0, 2.0]], dtype=np.float32)


def network(location: str | None = None) -> bytes:
    """A matrix product, its matrix inside or in an external file."""
    weights = numpy_helper.from_array(WEIGHTS, "w")
    if location is not None:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        weights.external_data.add(key="location", value=location)
        weights.external_data.add(key="length", value=str(WEIGHTS.nbytes))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content


def answer(session: Any) -> Any:
    return session.run(None, {"x": ROW})[0]


def test_a_network_loads_on_one_thread(shelf: Any) -> None:
    shelf.put("m.onnx", network())
    session = shelf.load("m.onnx")
    assert (answer(session) == ROW @ WEIGHTS).all()
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.graph_optimization_level == ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_threads_can_be_chosen(shelf: Any) -> None:
    shelf.put("m.onnx", network())
    options = shelf.load("m.onnx", threads=2, inter_op_threads=3).get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 3)


@pytest.mark.parametrize("providers", [["NoSuchProvider"], [], "CPUExecutionProvider"])
def test_providers_are_checked_before_anything_is_read(shelf: Any, providers: Any) -> None:
    shelf.put("m.onnx", b"not read")
    with pytest.raises(ConfigurationError, match="provider"):
        shelf.load("m.onnx", providers=providers)


def test_external_data_comes_from_the_locked_files_of_a_directory(shelf: Any) -> None:
    shelf.put("net/m.onnx", network("w/weights.bin"))
    shelf.put("net/w/weights.bin", WEIGHTS.tobytes())
    source = shelf.together("net", "net/m.onnx", "net/w/weights.bin")
    assert (answer(find("onnx", "net").load(source)) == ROW @ WEIGHTS).all()


def test_external_data_comes_from_files_named_one_by_one(shelf: Any) -> None:
    shelf.put("m.onnx", network("w.bin"))
    shelf.put("elsewhere/w.bin", WEIGHTS.tobytes())
    names = {"model": "m.onnx", "w.bin": "elsewhere/w.bin"}
    source = shelf.together(names, "m.onnx", "elsewhere/w.bin")
    assert (answer(find("onnx", "m").load(source)) == ROW @ WEIGHTS).all()


def test_changed_weights_beside_an_intact_model_are_refused(shelf: Any) -> None:
    shelf.put("net/m.onnx", network("w.bin"))
    shelf.put("net/w.bin", WEIGHTS.tobytes())
    lock = LockFile({path: lock_file(shelf.root, path) for path in ("net/m.onnx", "net/w.bin")})
    shelf.put("net/w.bin", (WEIGHTS + 1).tobytes())
    with pytest.raises(ArtifactCorruptError, match=r"net/w\.bin"):
        read_verified(shelf.root, "net", lock)


@pytest.mark.parametrize("make", ["outside", "link", "hard link", "missing", "unlocked"])
def test_external_data_that_is_not_plainly_there_is_refused(
    shelf: Any, tmp_path: Path, make: str
) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(WEIGHTS.tobytes())
    shelf.put("net/m.onnx", network("w.bin"))
    weights = shelf.root / "net/w.bin"
    shelf.put("net/w.bin", WEIGHTS.tobytes())
    lock = LockFile({path: lock_file(shelf.root, path) for path in ("net/m.onnx", "net/w.bin")})
    weights.unlink()
    if make == "outside":
        weights.symlink_to("../../../../" * 20 + str(secret))
    elif make == "link":
        weights.symlink_to(secret)
    elif make == "hard link":
        os.link(secret, weights)
    elif make == "unlocked":
        shelf.put("net/w.bin", WEIGHTS.tobytes())
        lock = LockFile({"net/m.onnx": lock.entries["net/m.onnx"]})
    with pytest.raises(ArtifactError, match=r"net/w\.bin"):
        read_verified(shelf.root, "net", lock)


@pytest.mark.parametrize("location", ["w.bin", "../w.bin", "/w.bin", "x/../w.bin"])
def test_external_data_outside_the_artifact_is_never_looked_for(
    shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    """Even if it lies in the working directory, where onnxruntime itself would find it."""
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    monkeypatch.chdir(tmp_path)
    shelf.put("m.onnx", network(location))
    with pytest.raises(ArtifactNotLockedError, match="external data") as caught:
        shelf.load("m.onnx")
    assert caught.value.found == location
    if location == "w.bin":  # the control
        assert (answer(ort.InferenceSession("m.onnx")) == ROW @ WEIGHTS).all()


def _field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


_FILE = _field(2, b"w.bin")


@pytest.mark.parametrize(
    "entry",
    [
        _field(1, b"location") + _FILE,
        _FILE + _field(1, b"location"),
        _field(1, b"offset") + _field(1, b"location") + _FILE,
        b"\x0a\x88\x80\x00location" + _FILE,
        b"\x8a\x80\x00\x08location" + _FILE,
    ],
    ids=["as usual", "file first", "key twice", "long length", "long tag"],
)
def test_external_data_is_seen_however_it_is_written_down(
    shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: bytes
) -> None:
    """The same message has many encodings; the key's bytes stand together in each of them."""
    model = onnx.load_from_string(network())
    del model.graph.initializer[:]
    weights = TensorProto(name="w", dims=WEIGHTS.shape, data_type=TensorProto.FLOAT)
    weights.data_location = TensorProto.EXTERNAL
    tensor = weights.SerializeToString() + _field(13, entry)
    content = model.SerializeToString() + _field(7, _field(5, tensor))  # parts of a graph add up
    monkeypatch.chdir(tmp_path)
    Path("w.bin").write_bytes(WEIGHTS.tobytes())
    Path("m.onnx").write_bytes(content)
    assert (answer(ort.InferenceSession("m.onnx")) == ROW @ WEIGHTS).all()  # the control
    shelf.put("m.onnx", content)
    with pytest.raises(ArtifactNotLockedError, match="external data") as caught:
        shelf.load("m.onnx")
    assert caught.value.found == "w.bin"


def test_a_directory_has_one_model(shelf: Any) -> None:
    for files in (("net/a.bin", "net/b.bin"), ("net/a.onnx", "net/b.onnx")):
        for file in files:
            shelf.put(file, network())
        with pytest.raises(ConfigurationError, match=r"exactly one file that ends in \.onnx"):
            find("onnx", "net").load(shelf.together({"a": files[0], "b": files[1]}, *files))


def test_what_is_no_network_is_refused(shelf: Any) -> None:
    shelf.put("m.onnx", b"\x0a\x02hi")
    with pytest.raises(LoaderFailedError):
        shelf.load("m.onnx")
    onnx.checker.check_model(network())
    shelf.put("m.onnx", network())
    source = shelf.locked("m.onnx")
    assert find(None, "m.onnx").memory_estimate(source) == 2 * source.size


_LOAD = """
import sys
from pathlib import Path
from loadonce import Model, Registry, artifact

class Models(Registry):
    network: Model[object] = artifact("m.onnx")

with Models(root=sys.argv[1]).loaded():
    pass
"""


def test_nothing_is_reported_to_the_vendor(shelf: Any, tmp_path: Path) -> None:
    shelf.put("m.onnx", network())
    lock_directory(shelf.root)
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    command = [sys.executable, "-c", _LOAD, str(shelf.root)]
    subprocess.run(command, env=environment, check=True, timeout=20)
    assert [path for path in home.rglob("*") if path.is_file()] == []
