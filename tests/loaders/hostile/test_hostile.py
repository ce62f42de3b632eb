"""Hostile pickles are never executed: not by `lock`, and not by a load, whatever its lock says."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import random
from collections.abc import Callable
from typing import Any, ClassVar

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from loadonce.artifacts import LockFile, read_verified
from loadonce.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ArtifactUnreadableError,
    LoaderFailedError,
    UntrustedGlobalError,
)
from loadonce.loaders import find, lock_file
from loadonce.loaders.allowednames import ALLOWED


@pytest.fixture(scope="module")
def honest() -> bytes:
    """A pipeline with arrays of objects, as joblib writes it."""
    rows = [["a", 1.0], ["b", 2.0], ["a", 3.0]]
    pipeline = make_pipeline(
        OneHotEncoder(handle_unknown="ignore"),
        StandardScaler(with_mean=False),
        LogisticRegression(),
    ).fit(np.array(rows, dtype=object), [0, 1, 0])
    file = io.BytesIO()
    joblib.dump(pipeline, file)
    return file.getvalue()


@pytest.mark.usefixtures("_extension")
@pytest.mark.filterwarnings("ignore")
def test_the_corpus_is_large_and_its_samples_fire(
    hostile: dict[str, bytes], surely_fires: Callable[[str], bool], marker: str
) -> None:
    """The control: naive unpickling executes them."""
    assert len(hostile) >= 200
    fired = 0
    for content in (content for name, content in hostile.items() if surely_fires(name)):
        _clean(marker)
        with contextlib.suppress(Exception):  # some fail after the deed
            joblib.load(io.BytesIO(content))
        fired += os.path.exists(marker)
    _clean(marker)
    assert fired >= 80


def _clean(marker: str) -> None:
    if os.path.isdir(marker):
        os.rmdir(marker)
    elif os.path.exists(marker):
        os.unlink(marker)


@pytest.mark.usefixtures("_extension")
def test_lock_executes_nothing_and_refuses_each(
    shelf: Any, hostile: dict[str, bytes], marker: str
) -> None:
    for name, content in hostile.items():
        shelf.put("evil.joblib", content)
        with pytest.raises((UntrustedGlobalError, ArtifactUnreadableError)) as caught:
            lock_file(shelf.root, "evil.joblib")
        assert not os.path.exists(marker), name
        assert str(caught.value).startswith("evil.joblib: "), name


@pytest.mark.usefixtures("_extension")
@pytest.mark.parametrize("wrapper", [True, False], ids=["as joblib file", "as plain pickle"])
def test_a_load_executes_nothing_even_if_the_lock_lists_all_innocent_globals(
    shelf: Any, hostile: dict[str, bytes], marker: str, wrapper: bool
) -> None:
    """The lock has the file's own digest, so that only the gate stands."""
    innocent = ALLOWED | {"sklearn.pipeline.Pipeline"}
    if not wrapper:
        innocent = innocent - {"joblib.numpy_pickle.NumpyArrayWrapper"}
    loader = find(None, "evil.joblib")
    for name, content in hostile.items():
        shelf.put("evil.joblib", content)
        source = shelf.vouched("evil.joblib", "joblib", innocent)
        with pytest.raises((UntrustedGlobalError, LoaderFailedError)):
            loader.load(source)
        assert not os.path.exists(marker), name


def test_an_honest_lock_of_another_file_refuses_each(
    shelf: Any, hostile: dict[str, bytes], marker: str, honest: bytes
) -> None:
    shelf.put("model.joblib", honest)
    lock = LockFile({"model.joblib": lock_file(shelf.root, "model.joblib")})
    for name, content in hostile.items():
        shelf.put("model.joblib", content)
        with pytest.raises(ArtifactCorruptError):
            read_verified(shelf.root, "model.joblib", lock)
        assert not os.path.exists(marker), name


def test_an_object_array_passes_the_same_gate_as_the_stream_around_it(
    shelf: Any, hostile_call: object, marker: str
) -> None:
    """The regression of joblib before 1.6: `find_class` of the outer unpickler never saw it.

    A gate written the naive way lets it through: the control.
    """
    file = io.BytesIO()
    joblib.dump([np.array([hostile_call], dtype=object)], file)
    shelf.put("nested.joblib", file.getvalue())
    allowed = (
        "joblib.numpy_pickle.NumpyArrayWrapper",
        "numpy.dtype",
        "numpy.ndarray",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.numeric._frombuffer",
    )
    with pytest.raises(UntrustedGlobalError, match=r"posix\.mkdir"):
        find(None, "nested.joblib").load(shelf.vouched("nested.joblib", "joblib", allowed))
    assert not os.path.exists(marker)

    naive = _before_joblib_1_6(allowed)(file)
    naive.load()
    assert os.path.exists(marker)


def _before_joblib_1_6(allowed: tuple[str, ...]) -> Any:
    from joblib.numpy_pickle import NumpyUnpickler

    class Naive(NumpyUnpickler):  # type: ignore[misc]
        dispatch: ClassVar[dict[int, Any]] = dict(NumpyUnpickler.dispatch)

        def __init__(self, file: io.BytesIO) -> None:
            file.seek(0)
            super().__init__("", file, ensure_native_byte_order=False)

        def find_class(self, module: str, name: str) -> object:
            assert f"{module}.{name}" in allowed
            return super().find_class(module, name)

        def load_build(self) -> None:
            pickle._Unpickler.load_build(self)  # type: ignore[attr-defined]
            wrapper = self.stack[-1]
            if type(wrapper).__name__ == "NumpyArrayWrapper":
                self.stack[-1] = pickle.load(self.file_handle)

        dispatch[pickle.BUILD[0]] = load_build

    return Naive


def test_a_thousand_bit_flips_of_a_pipeline_are_refused_before_unpickling(
    shelf: Any, honest: bytes
) -> None:
    shelf.put("model.joblib", honest)
    lock = LockFile({"model.joblib": lock_file(shelf.root, "model.joblib")})
    read_verified(shelf.root, "model.joblib", lock).close()
    draw = random.Random(0)
    refused = 0
    for _ in range(1000):
        flipped = bytearray(honest)
        flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
        shelf.put("model.joblib", bytes(flipped))
        try:
            read_verified(shelf.root, "model.joblib", lock)
        except ArtifactError:
            refused += 1
    assert refused == 1000


def test_lock_names_what_it_refuses_and_allows_only_what_is_said(
    shelf: Any, hostile_call: object
) -> None:
    shelf.put("evil.pkl", pickle.dumps([hostile_call, os.getpid]))
    with pytest.raises(UntrustedGlobalError) as caught:
        lock_file(shelf.root, "evil.pkl")
    message = str(caught.value)
    assert "found: posix.getpid, posix.mkdir" in message
    assert "do not load this file" in message
    assert "--allow" not in message
    assert "nothing was run" in message
    entry = lock_file(shelf.root, "evil.pkl", allow=["posix.mkdir", "posix.getpid"])
    assert entry.globals == ("posix.getpid", "posix.mkdir")
