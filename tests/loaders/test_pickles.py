"""Honest pipelines load whatever way they were written, and give the same predictions."""

from __future__ import annotations

import datetime
import gc
import importlib.metadata
import io
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from loadonce.errors import ArtifactNotLockedError, MissingExtraError, UntrustedGlobalError
from loadonce.loaders import find
from loadonce.loaders.pickles import class_of

ROWS = np.array([[kind, number] for number in range(30) for kind in "ab"], dtype=object)
ANSWERS = [number % 3 == 0 for number in range(30) for _ in "ab"]


def pipeline(last: Any) -> Pipeline:
    columns = make_column_transformer(
        (OneHotEncoder(), [0]),
        (make_pipeline(StandardScaler(), FunctionTransformer(np.tanh)), [1]),
        sparse_threshold=0,
    )
    return make_pipeline(columns, last).fit(ROWS, ANSWERS)


def joblib_bytes(value: object, **options: Any) -> bytes:
    file = io.BytesIO()
    joblib.dump(value, file, **options)
    return file.getvalue()


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 1), ("bz2", 1), ("lzma", 1), ("xz", 1)])
def test_joblib_files_of_all_compressions_load(shelf: Any, compress: Any) -> None:
    model = pipeline(GradientBoostingClassifier(n_estimators=3))
    shelf.put("m.joblib", joblib_bytes(model, compress=compress))
    loaded = shelf.load("m.joblib")
    assert (loaded.predict_proba(ROWS) == model.predict_proba(ROWS)).all()


@pytest.mark.parametrize("protocol", range(6))
def test_all_protocols_load(shelf: Any, protocol: int) -> None:
    model = pipeline(LogisticRegression())
    shelf.put("m.joblib", joblib_bytes(model, protocol=protocol))
    shelf.put("m.pkl", pickle.dumps(model, protocol))
    for name in ("m.joblib", "m.pkl"):
        assert (shelf.load(name).predict_proba(ROWS) == model.predict_proba(ROWS)).all()


@pytest.mark.parametrize(
    "last", [RandomForestClassifier(3), HistGradientBoostingClassifier(max_iter=3)]
)
def test_forests_and_boosters_load(shelf: Any, last: Any) -> None:
    model = pipeline(last)
    shelf.put("m.joblib", joblib_bytes(model))
    assert (shelf.load("m.joblib").predict_proba(ROWS) == model.predict_proba(ROWS)).all()


@pytest.mark.parametrize(
    "last", [GradientBoostingClassifier(n_estimators=1), HistGradientBoostingClassifier(max_iter=1)]
)
def test_boosters_with_several_classes_load(shelf: Any, last: Any) -> None:
    model = last.fit([[0], [1], [2]], ["a", "b", "c"])
    shelf.put("m.joblib", joblib_bytes(model))
    assert (shelf.load("m.joblib").predict_proba([[1]]) == model.predict_proba([[1]])).all()


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_pickled_boosters_of_other_libraries_load(shelf: Any, library: str) -> None:
    from lightgbm import LGBMClassifier
    from xgboost import XGBClassifier

    model: Any = {
        "xgboost": XGBClassifier(n_estimators=2, n_jobs=1),
        "lightgbm": LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1),
    }[library]
    data = np.arange(60.0).reshape(30, 2)
    model.fit(data, ANSWERS[:30])
    shelf.put("m.joblib", joblib_bytes(model))
    assert (shelf.load("m.joblib").predict(data) == model.predict(data)).all()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(100_000.0).reshape(100, 1000),
        np.asfortranarray(np.ones((3, 4))),
        np.arange(5, dtype=">i4"),
        np.array([{"a": 1}, None], dtype=object),
        np.array(["short", "long" * 20], dtype=np.dtypes.StringDType()),
        np.empty((0, 3)),
        np.array(3.5),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_arrays_come_back_equal(shelf: Any, array: np.ndarray[Any, Any]) -> None:
    shelf.put("a.joblib", joblib_bytes({"x": array, "y": [array]}))
    loaded = shelf.load("a.joblib")
    for back in (loaded["x"], loaded["y"][0]):
        assert back.shape == array.shape
        assert (back == array).all()
        assert back.dtype.isnative


def test_a_class_of_ones_own_loads_once_it_is_allowed(
    shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = types.ModuleType("mine")
    exec("class Scale:\n    factor = 2\n    class Inner: pass\n", mine.__dict__)
    monkeypatch.setitem(sys.modules, "mine", mine)
    value = [mine.Scale(), mine.Scale.Inner()]
    shelf.put("m.pkl", pickle.dumps(value))
    with pytest.raises(UntrustedGlobalError, match=r"--allow mine.Scale --allow mine:Scale.Inner"):
        shelf.load("m.pkl")
    source = shelf.locked("m.pkl", allow=["mine.Scale", "mine:Scale.Inner"])
    loaded: Any = find(None, "m.pkl").load(source)
    assert [type(item) for item in loaded] == [mine.Scale, mine.Scale.Inner]


def test_a_file_that_was_locked_as_something_else_is_refused(shelf: Any) -> None:
    shelf.put("m.bin", pickle.dumps([1]))
    source = shelf.locked("m.bin")
    assert source.entry.format == "file"
    with pytest.raises(ArtifactNotLockedError, match="found: format file"):
        find("joblib", "m.bin").load(source)
    assert find("joblib", "m.bin").load(shelf.locked("m.bin", format="joblib")) == [1]
    with pytest.raises(ArtifactNotLockedError, match="found: format unknown"):
        find("joblib", "m.bin").load(shelf.vouched("m.bin", ""))


@pytest.mark.parametrize("found", ["1.5.3", "0.17", "unknown"])
def test_an_old_joblib_is_refused_with_the_command(
    shelf: Any, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    shelf.put("m.joblib", joblib_bytes([np.arange(3)]))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: found)
    with pytest.raises(MissingExtraError, match=r"needs joblib 1\.6 or newer") as caught:
        shelf.load("m.joblib")
    assert f"found: joblib {found}" in str(caught.value)


def test_estimates_tell_arrays_from_objects_and_plain_from_compressed(shelf: Any) -> None:
    loader = find(None, "m.joblib")
    value = np.zeros(1000)
    shelf.put("plain.joblib", joblib_bytes(value))
    shelf.put("packed.joblib", joblib_bytes(value, compress=3))
    plain, packed = shelf.locked("plain.joblib"), shelf.locked("packed.joblib")
    assert loader.memory_estimate(plain) == 2 * plain.size
    assert loader.memory_estimate(packed) == 11 * packed.size
    shelf.put("objects.pkl", pickle.dumps([{"a": 1}]))
    objects = shelf.locked("objects.pkl")
    assert loader.memory_estimate(objects) == 13 * objects.size


def _full_collections_during(load: Callable[[], object]) -> int:
    generations: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            generations.append(info["generation"])

    gc.collect()
    gc.callbacks.append(note)
    try:
        load()
    finally:
        gc.callbacks.remove(note)
        gc.unfreeze()
    return generations.count(2)


def test_a_pickle_of_many_small_objects_is_loaded_without_a_full_collection(shelf: Any) -> None:
    """Collections alone froze every other thread for 0.6 s."""
    content = pickle.dumps([{"a": [number], "b": (0.5, [])} for number in range(120_000)])
    shelf.put("m.pkl", content)
    source, loader = shelf.locked("m.pkl"), find(None, "m.pkl")
    assert _full_collections_during(lambda: loader.load(source)) == 0
    if sys.version_info < (3, 12):  # later ones collect between instructions of Python only
        assert _full_collections_during(lambda: pickle.loads(content)) > 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (joblib_bytes(make_pipeline(StandardScaler())), Pipeline),
        (pickle.dumps(make_pipeline(StandardScaler()), 2), Pipeline),
        (pickle.dumps({"a": StandardScaler()}), dict),
        (pickle.dumps([1]), list),
        (pickle.dumps(datetime.date(2026, 11, 26)), datetime.date),
        (joblib_bytes(np.zeros(3)), None),  # a wrapper's affair
        (pickle.dumps(np.zeros(3)), None),  # what a function made
        (pickle.dumps(Pipeline), None),  # a class, not an object of it
    ],
)
def test_the_class_of_an_object_is_known_without_loading_it(
    shelf: Any, content: bytes, expected: type | None
) -> None:
    assert class_of(shelf.locked(shelf.put("a.joblib", content))) is expected


def test_what_is_no_pickle_has_no_class(shelf: Any) -> None:
    assert class_of(shelf.vouched(shelf.put("a.joblib", b"no"), "joblib")) is None
