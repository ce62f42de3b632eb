"""Converted models answer as classifiers and regressors, and are refused if they are none."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper, numpy_helper

from loadonce import Classifier, Golden, Model, Registry, Regressor, artifact, lock_directory
from loadonce.errors import (
    ArtifactNotLockedError,
    InvalidRowsError,
    LoaderFailedError,
    StartupError,
    WrongTypeError,
)
from loadonce.lifecycle.conformance import missing_from
from loadonce.loaders import find

NAMES = ("x1", "x2")


def stated(**changes: object) -> dict[str, object]:
    """The property `loadonce.predictor` of the graph below."""
    return {
        "version": 2,
        "kind": "classifier",
        "features": [{"name": name, "type": "number"} for name in NAMES],
        "named": True,
        "classes": [0, 1],
        "classes_dtype": "int64",
        "value_dtype": "float64",
        "source": {"path": "m.joblib", "sha256": "0" * 64},
        "parity": {},
        **changes,
    }


def converted(
    *,
    matrix: str = "X",
    width: int = len(NAMES),
    outputs: tuple[str, ...] = ("label", "probabilities"),
    label: str = "scores",
    dtype: int = TensorProto.DOUBLE,
    **changes: object,
) -> bytes:
    """The sigmoid of the features' sum, as probability, or the sum itself as `value`.

    The label is told by both sides of the sum, or by its place.
    """
    told = {"scores": "sides", "places": "place", "inverse": "turned"}[label]
    nodes = [
        helper.make_node("ReduceSum", [matrix, "one"], ["value"], keepdims=1),
        helper.make_node("Neg", ["value"], ["other"]),
        helper.make_node("Concat", ["other", "value"], ["sides"], axis=1),
        helper.make_node("Concat", ["value", "other"], ["turned"], axis=1),
        helper.make_node("ArgMax", ["sides"], ["place"], axis=1, keepdims=0),
        helper.make_node("Identity", [told], ["label"]),
        helper.make_node("Sigmoid", ["sides"], ["shares"]),
        helper.make_node("Cast", ["shares"], ["probabilities"], to=dtype),
    ]
    is_place = label == "places"
    shapes: dict[str, list[str | int]] = {
        "label": ["n"] if is_place else ["n", 2],
        "value": ["n", 1],
        "probabilities": ["n", 2],
    }
    kinds = {
        "label": TensorProto.INT64 if is_place else TensorProto.DOUBLE,
        "probabilities": dtype,
    }
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(matrix, TensorProto.DOUBLE, ["n", width])],
        [
            helper.make_tensor_value_info(name, kinds.get(name, TensorProto.DOUBLE), shapes[name])
            for name in outputs
        ],
        [numpy_helper.from_array(np.array([1]), "one")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    helper.set_model_props(model, {"loadonce.predictor": json.dumps(stated(**changes))})
    content: bytes = model.SerializeToString()
    return content


REGRESSOR: dict[str, Any] = {
    "outputs": ("value",), "kind": "regressor", "classes": None, "classes_dtype": None,
}  # fmt: skip


def probability(x1: float, x2: float) -> float:
    return float(1 / (1 + np.exp(-(x1 + x2))))


def test_a_converted_classifier_has_the_interface_of_the_original(shelf: Any) -> None:
    shelf.put("m.predictor.onnx", converted())
    model = shelf.load("m.predictor.onnx")
    rows = [{"x2": 2.0, "x1": -1}, {"x1": -3, "x2": 1.5, "other": 0}]
    expected = [[1 - (p := probability(1, 0)), p], [1 - (q := probability(-1.5, 0)), q]]
    np.testing.assert_allclose(model.predict_proba(rows), expected)
    assert model.predict_proba(rows).dtype == np.float64
    assert model.predict(rows).tolist() == [1, 0]
    assert model.classes_.tolist() == [0, 1]
    assert model.feature_names_in_.tolist() == list(NAMES)
    assert model.n_features_in_ == 2
    assert isinstance(model, Classifier)
    assert missing_from(Classifier, model) == ""
    assert repr(model) == "<Predictor classifier, 2 features>"


def test_a_converted_regressor_has_no_classes(shelf: Any) -> None:
    shelf.put("m.predictor.onnx", converted(**REGRESSOR))
    model = shelf.load("m.predictor.onnx")
    assert model.predict([[1, 2], [3, 4.5]]).tolist() == [3, 7.5]
    assert isinstance(model, Regressor)
    for absent in ("predict_proba", "classes_"):
        assert not hasattr(model, absent)
    assert missing_from(Classifier, model) == "a Predictor without predict_proba"


def test_a_classifier_without_probabilities_has_none(shelf: Any) -> None:
    shelf.put("m.predictor.onnx", converted(outputs=("label",)))
    model = shelf.load("m.predictor.onnx")
    assert model.predict([[1, 2], [-3, 1]]).tolist() == [1, 0]
    assert not hasattr(model, "predict_proba")
    assert model.classes_.tolist() == [0, 1]


def test_a_model_without_names_takes_arrays(shelf: Any) -> None:
    shelf.put("m.predictor.onnx", converted(named=False))
    model = shelf.load("m.predictor.onnx")
    expected = [1 - probability(1, 2), probability(1, 2)]
    for rows in (np.array([[1.0, 2.0]]), [[1, 2]], [(1, 2)]):
        np.testing.assert_allclose(model.predict_proba(rows)[0], expected)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 2


@pytest.mark.parametrize("label", ["scores", "places"])
@pytest.mark.parametrize(
    ("classes", "dtype"),
    [(["no", "yes"], "<U3"), (["no", "yes"], "object"), ([False, True], "bool"),
     ([0.0, 1.5], "float64"), ([3, 5], "int32")],
)  # fmt: skip
def test_labels_are_of_the_original_type(
    shelf: Any, classes: list[Any], dtype: str, label: str
) -> None:
    shelf.put("m.predictor.onnx", converted(label=label, classes=classes, classes_dtype=dtype))
    model = shelf.load("m.predictor.onnx")
    assert model.classes_.dtype == np.dtype(dtype)
    found = model.predict([[1, 2], [-3, 1]])
    assert found.dtype == np.dtype(dtype)
    assert found.tolist() == [classes[1], classes[0]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"outputs": ("probabilities",)}, [1, 0]), ({"label": "inverse"}, [0, 1])],
)
def test_probabilities_tell_the_label_unless_the_graph_does(
    shelf: Any, options: dict[str, Any], expected: list[int]
) -> None:
    shelf.put("m.predictor.onnx", converted(**options))
    assert shelf.load("m.predictor.onnx").predict([[1, 2], [-3, 1]]).tolist() == expected


def test_values_are_of_the_original_type(shelf: Any) -> None:
    shelf.put("m.predictor.onnx", converted(**REGRESSOR, value_dtype="float32"))
    assert shelf.load("m.predictor.onnx").predict([[1, 2]]).dtype == np.float32


def test_missing_values_that_the_model_cannot_take_are_refused(shelf: Any) -> None:
    """The sum of a number and nothing is nothing; the original would not have answered either."""
    shelf.put("m.predictor.onnx", converted())
    shelf.put("r.predictor.onnx", converted(**REGRESSOR))
    shelf.put("l.predictor.onnx", converted(outputs=("label",)))
    classifier, regressor, labels = (shelf.load(f"{each}.predictor.onnx") for each in "mrl")
    asks = (classifier.predict_proba, classifier.predict, regressor.predict, labels.predict)
    for ask in asks:
        with pytest.raises(InvalidRowsError, match=r"no answer for 1 of 2 rows, .* row 1"):
            ask([[1, 2], [1, None]])


def test_what_the_original_refused_is_refused_before_it_is_asked(shelf: Any) -> None:
    """As its proof found out; a graph that gives places could not tell else."""
    refuses = {"missing": ["x2"], "infinite": ["x1"], "unknown": ["x1"]}
    for name, parity in (("strict", {"refuses": refuses}), ("lax", {"refuses": {}})):
        model = converted(outputs=("label",), label="places", parity=parity)
        shelf.put(f"{name}.predictor.onnx", model)
    strict, lax = shelf.load("strict.predictor.onnx"), shelf.load("lax.predictor.onnx")
    with pytest.raises(InvalidRowsError, match="row 0: 'x2' must not be missing"):
        strict.predict([[1, None]])
    with pytest.raises(InvalidRowsError, match="row 0: 'x1' must be finite"):
        strict.predict(np.array([[np.inf, 1]]))
    assert strict.predict([[1, np.inf]]).tolist() == lax.predict([[np.inf, 1]]).tolist() == [1]
    assert len(lax.predict([[1, None]])) == 1


def test_texts_become_their_codes_before_the_graph_sees_them(shelf: Any) -> None:
    """Known ones their places, a missing one -1, any other -2, half a character too."""
    features = [{"name": "x1", "type": "number"}, {"name": "sex", "type": "text", "texts": "fm"}]
    shelf.put("m.predictor.onnx", converted(**REGRESSOR, features=features))
    model = shelf.load("m.predictor.onnx")
    rows = [[10, each] for each in ("f", "m", None, "x", "\ud800secret")]
    assert model.predict(rows).tolist() == [10, 11, 9, 8, 8]
    with pytest.raises(InvalidRowsError) as caught:
        model.predict([[1, b"secret"]])
    assert str(caught.value) == "row 0: 'sex' must be a text, not a bytes"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("dtype", [TensorProto.DOUBLE, TensorProto.FLOAT])
def test_answers_stay_when_others_are_asked_for(shelf: Any, dtype: int) -> None:
    """One row goes into memory that the next one will use; a graph of float32 has none."""
    shelf.put("m.predictor.onnx", converted(dtype=dtype))
    model = shelf.load("m.predictor.onnx")
    ways = ([[1, 2]], ((1, 2),), np.array([[1, 2]]), pa.table({"x1": [1], "x2": [2]}))
    answers = [model.predict_proba(rows) for rows in ways]
    labels = [model.predict(rows) for rows in ways]
    model.predict_proba([[-5, 0]])
    for found, label in zip(answers, labels, strict=True):
        np.testing.assert_allclose(found, [[1 - probability(1, 2), probability(1, 2)]], rtol=1e-6)
        assert found.dtype == np.float64
        assert label.tolist() == [1]


def test_infinite_values_are_answers(shelf: Any) -> None:
    """Although their sum may be none: that of the two scores of a label, here."""
    shelf.put("m.predictor.onnx", converted(outputs=("label",), parity={"refuses": {}}))
    assert shelf.load("m.predictor.onnx").predict([[np.inf, 1]]).tolist() == [1]


def test_many_threads_ask_at_once(shelf: Any) -> None:
    shelf.put("m.predictor.onnx", converted())
    model = shelf.load("m.predictor.onnx")
    together = Barrier(4)

    def ask(number: int) -> list[Any]:
        together.wait(10)
        return [model.predict_proba([{"x1": number, "x2": step}])[0, 1] for step in range(200)]

    with ThreadPoolExecutor(4) as pool:
        for number, found in enumerate(pool.map(ask, range(4))):
            np.testing.assert_allclose(found, [probability(number, step) for step in range(200)])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 1}, "of version 1; only 2 is known: convert the original again"),
        ({"kind": "clusterer"}, "unknown kind of model"),
        ({"features": [{"name": "x1", "type": "date"}]}, "or type of feature"),
        ({"features": []}, "has no features"),
        ({"features": [{"name": "x1", "type": "number"}] * 2}, "two of one name"),
        ({"features": [{"name": "x1", "type": "number"}]}, "input is not a matrix of the features"),
        ({"matrix": "x"}, "input is not a matrix of the features"),
        ({"width": 3}, "input is not a matrix of the features"),
        ({"kind": "regressor"}, "a regressor's graph must have the output 'value'"),
        ({"outputs": ("value",)}, "graph must have 'label' or 'probabilities'"),
    ],
)
def test_what_is_no_converted_model_is_refused(
    shelf: Any, changes: dict[str, Any], words: str
) -> None:
    shelf.put("m.predictor.onnx", converted(**changes))
    with pytest.raises(LoaderFailedError, match=words):
        shelf.load("m.predictor.onnx")


def test_a_network_that_was_not_converted_is_refused(shelf: Any) -> None:
    """It is read by the suffix `.onnx`; a converted model can be, too."""
    model = onnx.load_from_string(converted())
    session = shelf.load(shelf.put("m.onnx", model.SerializeToString()))
    assert not hasattr(session, "predict")
    model.ClearField("metadata_props")
    shelf.put("m.predictor.onnx", model.SerializeToString())
    with pytest.raises(LoaderFailedError, match=r"no converted model: it has no property"):
        shelf.load("m.predictor.onnx")


def test_no_weights_are_looked_for_elsewhere(shelf: Any) -> None:
    model = onnx.load_from_string(converted())
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="w.bin")
    shelf.put("w.bin", b"\0" * 8)
    shelf.put("m.predictor.onnx", model.SerializeToString())
    with pytest.raises(ArtifactNotLockedError):
        shelf.load("m.predictor.onnx")


def test_the_loader_estimates_like_that_of_networks(shelf: Any) -> None:
    shelf.put("m.predictor.onnx", converted())
    source = shelf.locked("m.predictor.onnx")
    assert find(None, "m.predictor.onnx").memory_estimate(source) == 2 * source.size


class Models(Registry):
    risk: Model[Classifier] = artifact("m.predictor.onnx")


def test_a_registry_serves_it_with_its_golden_example(shelf: Any) -> None:
    shelf.put("m.predictor.onnx", converted())
    right = Golden("predict_proba", [[1, 2]], [[1 - probability(1, 2), probability(1, 2)]])
    report = lock_directory(shelf.root, golden={"m.predictor.onnx": right})
    assert report.lock.entries["m.predictor.onnx"].format == "predictor"
    with Models(root=shelf.root).loaded() as models:
        assert models.risk.run(lambda model: model.predict([{"x1": 1, "x2": 2}]).tolist()) == [1]
    wrong = Golden("predict_proba", [[1, 2]], [[0.5, 0.5]])
    lock_directory(shelf.root, golden={"m.predictor.onnx": wrong})
    with pytest.raises(StartupError, match="golden"), Models(root=shelf.root).loaded():
        pass


def test_a_regressor_where_a_classifier_was_declared_stops_the_start(shelf: Any) -> None:
    shelf.put("m.predictor.onnx", converted(**REGRESSOR))
    lock_directory(shelf.root)
    with (
        pytest.raises(StartupError, match="without predict_proba") as caught,
        Models(root=shelf.root).loaded(),
    ):
        pass
    assert isinstance(caught.value.failures[0], WrongTypeError)


_SERVE = """
import sys
from loadonce import Classifier, Model, Registry, artifact

class Models(Registry):
    risk: Model[Classifier] = artifact("m.predictor.onnx")

with Models(root=sys.argv[1]).loaded() as models:
    print(models.risk.run(lambda model: model.predict_proba([{"x1": 1.0, "x2": 2}]).shape))
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""


def test_a_server_of_converted_models_imports_no_training_library(shelf: Any) -> None:
    shelf.put("m.predictor.onnx", converted())
    lock_directory(shelf.root)
    unwanted = ["sklearn", "scipy", "pandas", "joblib", "pyarrow", "onnx", "skl2onnx"]
    command = [sys.executable, "-c", _SERVE, str(shelf.root), *unwanted, "numpy", "onnxruntime"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.splitlines() == [
        "(1, 2)",
        "numpy onnxruntime",
    ]  # the control: those are seen
