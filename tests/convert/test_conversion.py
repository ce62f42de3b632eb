"""Files are converted if they are trusted and proved equal; else they are left as they are."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from loadonce import Classifier, Golden, Model, Registry, artifact, lock_directory
from loadonce.artifacts import LOCK_NAME, LockFile
from loadonce.convert import Options, convert_directory, convert_file, convertible_files
from loadonce.convert import conversion as converting
from loadonce.convert.answers import Converted
from loadonce.convert.model import Unconvertible
from loadonce.convert.running import Answer
from loadonce.errors import ConfigurationError, MissingExtraError

from . import builders
from .conftest import Save, pipeline

pytestmark = pytest.mark.timeout(60)
GOOD = Options(builder="builders:build")


def stated(file: Path) -> dict[str, Any]:
    """What a converted file says of itself."""
    properties = {each.key: each.value for each in onnx.load(file).metadata_props}
    found: dict[str, Any] = json.loads(properties["loadonce.predictor"])
    return found


def test_a_proved_model_is_written_beside_its_source_and_locked_with_its_golden_example(
    save: Save, tmp_path: Path
) -> None:
    model = pipeline(DecisionTreeClassifier(max_depth=5, random_state=0), text_labels=True)
    golden = Golden("predict", [[0.5, 1.0, 0.0]], model.predict([[0.5, 1.0, 0.0]]).tolist())
    (tmp_path / "rows.json").write_text("[[1, 2, 3], [4, null, 6]]")
    save("a.joblib", model, golden={"a.joblib": golden})
    stages: list[tuple[str, str]] = []
    options = Options(builder="builders:build", rows=tmp_path / "rows.json")
    done = convert_file(tmp_path, "a.joblib", options, on_stage=lambda *a: stages.append(a))
    assert done.is_converted
    assert done.proof is not None
    assert done.proof.stored == 3  # the golden one too
    assert done.proof.thresholds_compared == done.proof.thresholds > 10
    assert repr(done) == f"<Conversion a.joblib -> a.predictor.onnx: {done.proof}>"
    assert stages == [("a.joblib", each) for each in ("loading", "building", "comparing")]
    file = tmp_path / "a.predictor.onnx"
    assert done.bytes_after == file.stat().st_size
    lock = LockFile.read(tmp_path)
    entry = lock.entries["a.predictor.onnx"]
    assert (entry.golden, entry.sha256, done.is_locked) == (golden, done.sha256, True)
    assert stated(file)["source"] == {
        "path": "a.joblib",
        "sha256": lock.entries["a.joblib"].sha256,
    }
    assert stated(file)["parity"]["rows"] == done.proof.rows
    assert stated(file)["parity"]["refuses"]["infinite"] == ["x0", "x1", "x2"]
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


def test_a_lock_file_that_broke_meanwhile_is_told_of(save: Save, tmp_path: Path) -> None:
    save("a.joblib", pipeline(DecisionTreeClassifier(max_depth=2, random_state=0)))

    def break_lock(path: str, stage: str) -> None:
        (tmp_path / LOCK_NAME).write_text("no lock")

    done = convert_file(tmp_path, "a.joblib", GOOD, on_stage=break_lock)
    assert not done.is_converted
    assert done.reason.startswith("a.predictor.onnx is written, but not locked: ")
    assert (tmp_path / "a.predictor.onnx").exists()


def test_one_threshold_one_float_off_is_refused_and_told_of(save: Save, tmp_path: Path) -> None:
    """The control of the proof."""
    save("a.joblib", pipeline(DecisionTreeRegressor(max_depth=6, random_state=0)))
    (tmp_path / "a.predictor.onnx").write_bytes(b"of before")
    before = (tmp_path / LOCK_NAME).read_bytes()
    done = convert_file(tmp_path, "a.joblib", Options(builder="builders:one_step_off"))
    assert done.reason.startswith("4 rows differ: sampled row ")
    assert ", probing 'x" in done.reason
    assert done.reason.endswith("(an earlier a.predictor.onnx is still there)")
    assert repr(done).startswith("<Conversion of a.joblib: refused, 4 rows differ")
    assert (tmp_path / "a.predictor.onnx").read_bytes() == b"of before"
    assert (tmp_path / LOCK_NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("builder", "reason"),
    [
        ("none", "step 'tree' (DecisionTree): not today"),
        ("broken", "building failed (KeyError)"),
    ],
)
def test_what_has_no_graph_is_left_as_it_is_with_the_reason(
    save: Save, tmp_path: Path, builder: str, reason: str
) -> None:
    save("a.joblib", {"no": "pipeline"})
    done = convert_file(tmp_path, "a.joblib", Options(builder=f"hostile:{builder}"))
    assert done.reason == reason
    assert [each.name for each in tmp_path.glob("*.onnx")] == []


def test_a_graph_that_onnxruntime_does_not_load_is_no_graph() -> None:
    graph = builders.build(pipeline(DecisionTreeRegressor(max_depth=2)), None)
    del graph.model.graph.node[2:]
    with pytest.raises(Unconvertible, match="onnxruntime does not load the graph: "):
        Converted(graph)


def test_every_model_of_a_directory_is_tried(save: Save, tmp_path: Path) -> None:
    tree = pipeline(DecisionTreeRegressor(max_depth=2))
    save("a.joblib", {"not": "a pipeline"})
    save("twin.joblib", tree)
    save("twin.pkl", tree)
    (tmp_path / "notes.txt").write_text("no model")
    lock_directory(tmp_path)
    assert convertible_files(tmp_path) == ("a.joblib", "twin.joblib", "twin.pkl")
    reasons = [each.reason for each in convert_directory(tmp_path, GOOD)]
    assert reasons == [
        "building failed (KeyError)",
        "twin.pkl would become twin.predictor.onnx too; rename one of the two",
        "twin.joblib would become twin.predictor.onnx too; rename one of the two",
    ]


# -- with the graphs that loadonce builds ---------------------------------------------------------


class Models(Registry):
    original: Model[Classifier] = artifact("a.joblib")
    converted: Model[Classifier] = artifact("a.predictor.onnx")


def test_a_converted_pipeline_serves_in_the_place_of_the_original(
    save: Save, tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    ages = np.where(generator.random(300) < 0.1, np.nan, generator.normal(50, 10, size=300))
    frame = pd.DataFrame({"sex": generator.choice(["f", "m"], size=300), "age": ages})
    columns = ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore"), ["sex"]),
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
        ]
    )
    forest = RandomForestClassifier(n_estimators=5, max_depth=4, random_state=0)
    ill = np.where((frame["age"] > 45) == (frame["sex"] == "f"), "ill", "well")
    save("a.joblib", make_pipeline(columns, forest).fit(frame, ill))
    done = convert_file(tmp_path, "a.joblib")
    assert done.is_converted, done.reason
    assert done.proof is not None
    assert done.proof.thresholds_compared == done.proof.thresholds
    rows = frame.head(50)
    with Models(root=tmp_path).loaded() as models:
        wanted = models.original.run(lambda model: model.predict_proba(rows))
        given = rows.to_dict(orient="records")
        found = models.converted.run(lambda model: model.predict_proba(given))
        labels = models.converted.run(lambda model: model.predict(given))
    assert np.abs(found - wanted).max() <= 1e-15
    assert labels.tolist() == np.array(["ill", "well"])[wanted.argmax(axis=1)].tolist()


@pytest.mark.parametrize("kind", ["XGBClassifier", "XGBRegressor"])
def test_a_file_of_xgboosts_own_format_is_read_as_what_it_was(tmp_path: Path, kind: str) -> None:
    import xgboost

    rows = np.random.default_rng(0).normal(size=(100, 2))
    model = getattr(xgboost, kind)(n_estimators=3, max_depth=2, n_jobs=1)
    model.fit(rows, (rows[:, 0] > 0).astype(int)).save_model(tmp_path / "a.ubj")
    lock_directory(tmp_path)
    done = convert_file(tmp_path, "a.ubj")
    assert done.is_converted, done.reason
    assert stated(tmp_path / done.path)["kind"] in kind.lower()


# -- who is trusted ------------------------------------------------------------------------------


def refuse_to_run(*_args: object, **_options: object) -> Answer:
    raise AssertionError("unreachable: the file was opened")


def test_what_no_lock_file_vouches_for_is_not_opened(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "run", refuse_to_run)
    save("a.joblib", {}, lock=False)
    assert convert_file(tmp_path, "a.joblib").reason.startswith("no models.lock vouches for it")
    lock_directory(tmp_path)
    save("b.joblib", {}, lock=False)
    assert convert_file(tmp_path, "b.joblib").reason.startswith("not in models.lock")
    (tmp_path / "a.joblib").write_bytes(b"other")
    assert convert_file(tmp_path, "a.joblib").reason.startswith("differs from models.lock")


@pytest.mark.parametrize("unlocked", [False, True])
def test_what_is_no_model_is_not_to_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unlocked: bool
) -> None:
    monkeypatch.setattr(converting, "run", refuse_to_run)
    (tmp_path / "app.py").write_text("")
    reason = convert_file(tmp_path, "app.py", Options(unlocked=unlocked)).reason
    assert reason.startswith("no model that can be converted")
    assert "to do: name a directory of models, or a file that ends in .joblib" in reason


def test_an_unlocked_file_is_converted_if_that_was_asked_for_and_lock_would_take_it(
    save: Save, tmp_path: Path
) -> None:
    save("a.joblib", pipeline(DecisionTreeRegressor(max_depth=2)), lock=False)
    options = Options(builder="builders:build", unlocked=True, feature_names=("p", "q", "r"))
    done = convert_file(tmp_path, "a.joblib", options)
    assert (done.reason, done.is_locked) == ("", False)
    assert [each["name"] for each in stated(tmp_path / done.path)["features"]] == ["p", "q", "r"]
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(print))
    reason = convert_file(tmp_path, "evil.pkl", options).reason
    assert reason.startswith("the pickle imports what is not known to be harmless")


def test_another_version_of_a_library_is_refused_unless_allowed(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.joblib", np.zeros(2))
    lock = tmp_path / LOCK_NAME
    lock.write_text(lock.read_text().replace('"numpy" = "2', '"numpy" = "1'))
    assert "another version of numpy" in convert_file(tmp_path, "a.joblib").reason
    monkeypatch.setattr(
        converting, "run", lambda *_a, **_o: Answer({"isolation": [], "reason": "went on"})
    )
    done = convert_file(tmp_path, "a.joblib", Options(allow_version_mismatch=True))
    assert done.reason == "went on"


# -- a process that lies -------------------------------------------------------------------------

PROOF = {"rows": 1, "differing": 0, "differences": []}
EXTERNAL = onnx.TensorProto(
    data_location=onnx.TensorProto.EXTERNAL,
    external_data=[onnx.StringStringEntryProto(key="location", value="../../etc/passwd")],
)


@pytest.mark.parametrize(
    ("fields", "model"),
    [
        ({}, b""),
        ({"isolation": []}, b""),
        ({"isolation": [], "proof": PROOF}, b""),
        ({"isolation": [], "proof": PROOF}, b"\xff\xff"),
        ({"isolation": [], "proof": {**PROOF, "more": 1}}, b""),
        (
            {"isolation": [], "proof": PROOF},
            onnx.ModelProto(graph=onnx.GraphProto(initializer=[EXTERNAL])).SerializeToString(),
        ),
    ],
)
def test_an_answer_that_makes_no_sense_is_a_reason(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: Any, model: bytes
) -> None:
    monkeypatch.setattr(converting, "run", lambda *_a, **_o: Answer(fields, model))
    save("a.joblib", {})
    done = convert_file(tmp_path, "a.joblib")
    assert done.reason == "its process gave an answer that makes no sense"
    assert not (tmp_path / "a.predictor.onnx").exists()


# -- what was asked for --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"tolerance": 0},
        {"timeout": -1},
        {"memory_bytes": 0},
        {"memory_bytes": 256 * 2**20 - 1},
        {"builder": "builders"},
        {"builder": "builders:"},
        {"feature_names": ("a", "a")},
        {"feature_names": ("a", "")},
    ],
)
def test_options_that_cannot_work_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        Options(**wrong)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.mark.parametrize(("name", "text"), [("a.txt", "a"), ("a.json", "{"), ("b.json", "[3]")])
def test_rows_that_cannot_be_read_are_an_error(
    save: Save, tmp_path: Path, written: Callable[[str, str], Path], name: str, text: str
) -> None:
    save("a.joblib", {})
    with pytest.raises(ConfigurationError, match=name):
        convert_file(tmp_path, "a.joblib", Options(rows=written(name, text)))


def test_converting_needs_the_libraries_of_its_extra(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.joblib", {})
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"loadonce\[convert\]"):
        convert_file(tmp_path, "a.joblib")


def test_rows_of_parquet_need_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="pyarrow"):
        convert_file(tmp_path, "a.joblib", Options(rows=tmp_path / "rows.parquet"))
