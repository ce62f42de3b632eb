"""`loadonce convert` as its users meet it."""

from __future__ import annotations

import importlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from loadonce import lock_directory
from loadonce.artifacts import LockFile

Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.timeout(60)


HERE = Path(__file__).parent
BUILDER = ("--builder", "builders:build")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a model and something that is none, locked."""
    path = [str(HERE.parent / "convert"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    directory = tmp_path / "models"
    directory.mkdir()
    rows = np.random.default_rng(0).normal(size=(50, 2))
    tree = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=2))
    joblib.dump(tree.fit(rows, rows[:, 0] > 0), directory / "good.joblib")
    joblib.dump({"no": "model"}, directory / "none.joblib")
    lock_directory(directory)
    return directory


def test_a_directory_is_converted_as_far_as_it_can_be(run: Run, models: Path) -> None:
    done = run("convert", "models", *BUILDER)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["good.joblib: converted", "none.joblib: refused"]
    header, good, none, reason, isolation, *rest = done.stdout.splitlines()
    assert header.split() == ["file", "rows", "thresholds", "difference", "before", "after"]
    assert good.split()[:2] == ["good.joblib", "converted"]
    assert int(good.split()[2]) > 2_000
    assert none.split()[:2] == ["none.joblib", "refused"]
    assert reason.startswith("none.joblib: ")
    assert isolation.startswith("kept from the network by: ")
    assert rest == []
    assert "good.predictor.onnx" in LockFile.read(models).entries
    assert run("lock", "models", "--check").returncode == 0


def test_one_file_belongs_to_the_nearest_lock_file_and_may_be_refused_without_failing(
    run: Run, models: Path
) -> None:
    done = run("convert", "models/none.joblib", "--keep-going", "--json")
    assert done.returncode == 0
    (said,) = json.loads(done.stdout)
    assert (said["source"], said["is_converted"]) == ("none.joblib", False)


def test_unlocked_files_want_flags_and_are_then_to_be_locked(
    run: Run, models: Path, tmp_path: Path
) -> None:
    (models / "models.lock").unlink()
    (models / "none.joblib").unlink()
    (tmp_path / "rows.csv").write_text("length,width\n1,2\n")
    done = run("convert", "models")
    assert "no models.lock vouches for it" in done.stdout
    flags = ("--unlocked", "--allow", "a.B", "--names", "length, width", "--text", "")
    limits = ("--tolerance", "1e-6", "--timeout", "50", "--memory-limit", "4GiB")
    done = run("convert", "models/good.joblib", *BUILDER, *flags, *limits, "--rows", "rows.csv")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == f"now run `loadonce lock {models}`"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["empty"], "there is no model in empty"),
        (["models", "--memory-limit", "much"], "'much' is no size"),
        (["models", "--timeout", "0"], "timeout must be more than 0"),
        (["nowhere"], "does not exist"),
    ],
)
def test_what_cannot_be_is_told(
    run: Run, models: Path, tmp_path: Path, arguments: list[str], problem: str
) -> None:
    (tmp_path / "empty").mkdir()
    done = run("convert", *arguments)
    assert done.returncode in (1, 2)
    assert problem in " ".join(done.stderr.replace("│", " ").split())


FEATURES = """
from sklearn.base import BaseEstimator, TransformerMixin

class Ratio(TransformerMixin, BaseEstimator):
    def fit(self, rows, target=None):
        return self
    def transform(self, rows):
        return rows
    def __sklearn_is_fitted__(self):
        return True
"""


def test_a_class_of_the_apps_own_is_found_in_its_directory(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, app = tmp_path / "models", tmp_path / "app"
    models.mkdir()
    app.mkdir()
    (app / "features_of_mine.py").write_text(FEATURES)
    monkeypatch.syspath_prepend(str(app))
    kind = importlib.import_module("features_of_mine").Ratio
    rows = np.random.default_rng(0).normal(size=(50, 2))
    tree = make_pipeline(kind(), DecisionTreeClassifier(max_depth=2)).fit(rows, rows[:, 0] > 0)
    joblib.dump(tree, models / "own.joblib")
    lock_directory(models, allow=["features_of_mine.Ratio"])
    told = " ".join(run("convert", "models", "--app-dir", "app").stdout.split())
    assert "features_of_mine.Ratio has no graph" in told
    for taken in ("sitecustomize", "sklearn", "json"):
        (app / f"{taken}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    told = " ".join(run("convert", "models", "--app-dir", "app").stdout.split())
    assert "features_of_mine.Ratio has no graph" in told
    assert not (tmp_path / "ran").exists()  # what lies there takes no other module's place
    told = " ".join(run("convert", "models").stdout.split())
    assert "No module named 'features_of_mine'" in told
    assert "install 'features_of_mine', or say where it lies (--app-dir, PYTHONPATH)" in told


def test_a_result_that_cannot_be_written_does_not_end_the_run(run: Run, models: Path) -> None:
    (models / "none.joblib").unlink()
    joblib.dump(joblib.load(models / "good.joblib"), models / "better.joblib")
    lock_directory(models)
    (models / "good.predictor.onnx" / "full").mkdir(parents=True)
    done = run("convert", "models", *BUILDER)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["better.joblib: converted", "good.joblib: refused"]
    reason = "good.joblib: good.predictor.onnx could not be written: Is a directory"
    assert reason in done.stdout.splitlines()
    assert not list(models.glob(".good*"))


def test_a_terminal_sees_a_bar_for_each_file(models: Path) -> None:
    primary, secondary = pty.openpty()
    command: Any = [Path(sys.executable).parent / "loadonce", "convert", "none.joblib"]
    done = subprocess.run(
        command, cwd=models, stdout=subprocess.PIPE, stderr=secondary, timeout=50, check=False
    )
    os.close(secondary)
    seen = os.read(primary, 100_000).decode()
    os.close(primary)
    assert done.returncode == 1
    assert "none.joblib" in seen
    assert "refused" in seen
