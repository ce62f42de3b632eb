"""`loadonce lock` writes down what is there, keeps what was declared, and tells the difference."""

from __future__ import annotations

import dataclasses
import io
import pickle
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from loadonce.artifacts import LOCK_NAME, Golden, LockFile
from loadonce.errors import (
    ArtifactNotFoundError,
    ArtifactUnreadableError,
    ConfigurationError,
    LockFileError,
    LockRefusedError,
    MissingExtraError,
    UnknownFormatError,
    UntrustedGlobalError,
)
from loadonce.loaders import lock_directory, lock_file


@pytest.fixture
def filled(shelf: Any) -> Any:
    file = io.BytesIO()
    joblib.dump(LogisticRegression().fit([[0], [1]], [0, 1]), file)
    shelf.put("m.joblib", file.getvalue())
    shelf.put("tables/t.json", b"{}")
    shelf.put("vocabulary.txt", b"hello")
    shelf.put(".hidden/x.pkl", b"junk")
    return shelf


def test_every_file_but_the_hidden_ones_is_locked(filled: Any) -> None:
    report = lock_directory(filled.root)
    assert {entry.path: entry.format for entry in report.added} == {
        "m.joblib": "joblib",
        "tables/t.json": "json",
        "vocabulary.txt": "file",
    }
    assert LockFile.read(filled.root) == report.lock
    entry = report.lock.entries["m.joblib"]
    assert "sklearn.linear_model._logistic.LogisticRegression" in entry.globals
    assert entry.libraries == {name: version(name) for name in ("joblib", "numpy", "scikit-learn")}


def test_what_a_project_holds_beside_its_models_is_left_out(filled: Any) -> None:
    for path in (
        "app.py",
        "README.md",
        "venv/pyvenv.cfg",
        "venv/lib/x.json",
        "a/__pycache__/y.bin",
    ):
        filled.put(path, b"{}")
    assert sorted(lock_directory(filled.root).lock.entries) == [
        "m.joblib",
        "tables/t.json",
        "vocabulary.txt",
    ]


def test_locking_again_changes_nothing(filled: Any) -> None:
    lock_directory(filled.root)
    before = (filled.root / LOCK_NAME).read_bytes()
    report = lock_directory(filled.root)
    assert report.is_unchanged
    assert (filled.root / LOCK_NAME).read_bytes() == before


def test_versions_and_golden_examples_are_kept_and_differences_reported(filled: Any) -> None:
    lock = lock_directory(filled.root).lock
    golden = Golden("predict", [[0]], [0])
    declared = dataclasses.replace(lock.entries["m.joblib"], version="v1", golden=golden)
    lock.with_entry(declared).write(filled.root)
    filled.put("m.joblib", pickle.dumps([1]))
    filled.put("new.json", b"1")
    (filled.root / "vocabulary.txt").unlink()
    report = lock_directory(filled.root)
    assert [entry.path for entry in report.added] == ["new.json"]
    assert [entry.path for entry in report.removed] == ["vocabulary.txt"]
    ((old, new),) = report.changed
    assert (old.path, old.sha256 != new.sha256) == ("m.joblib", True)
    assert (new.version, new.golden, new.globals) == ("v1", golden, ())
    assert not report.is_unchanged


def test_formats_can_be_declared_for_files_without_a_telling_suffix(shelf: Any) -> None:
    shelf.put("model", pickle.dumps(np.float64(1)))
    lock = lock_directory(shelf.root, formats={"model": "joblib"}).lock
    assert lock.entries["model"].format == "joblib"
    assert lock.entries["model"].globals == ("numpy._core.multiarray.scalar", "numpy.dtype")

    again = lock_directory(shelf.root)
    assert again.is_unchanged  # once declared, it stays


def test_an_unknown_format_is_refused(shelf: Any) -> None:
    shelf.put("model", b"")
    with pytest.raises(UnknownFormatError, match="'jobliib'"):
        lock_directory(shelf.root, formats={"model": "jobliib"})


def test_it_can_only_report(filled: Any) -> None:
    assert len(lock_directory(str(filled.root), write=False).added) == 3
    assert not (filled.root / LOCK_NAME).exists()


def test_golden_examples_are_written_down(filled: Any) -> None:
    golden = Golden("predict", [[1]], [1])
    lock_directory(filled.root, golden={"m.joblib": golden})
    assert LockFile.read(filled.root).entries["m.joblib"].golden == golden
    with pytest.raises(ArtifactNotFoundError, match=r"^x.joblib: a golden example"):
        lock_directory(filled.root, golden={"x.joblib": golden})


def test_what_may_not_be_locked_leaves_the_old_lock_file(filled: Any) -> None:
    lock_directory(filled.root)
    before = (filled.root / LOCK_NAME).read_bytes()
    filled.put("evil.pkl", b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UntrustedGlobalError, match=r"^evil.pkl: "):
        lock_directory(filled.root)
    filled.put("evil.pkl", b"not a pickle")
    with pytest.raises(ArtifactUnreadableError, match="not a readable pickle"):
        lock_directory(filled.root)
    assert (filled.root / LOCK_NAME).read_bytes() == before


def test_every_file_that_may_not_be_locked_is_told_of(filled: Any) -> None:
    filled.put("a.pkl", b"cos\nsystem\n(S'false'\ntR.")
    filled.put("z.pkl", b"not a pickle")
    with pytest.raises(LockRefusedError) as caught:
        lock_directory(filled.root, golden={"a.pkl": Golden("predict", [[1]], [1])})
    assert [type(each) for each in caught.value.failures] == [
        UntrustedGlobalError,
        ArtifactUnreadableError,
    ]
    lines = str(caught.value).split("\n")
    assert lines[0] == "2 files may not be locked, so nothing was written"
    assert [line.partition(":")[0] for line in lines if line.startswith(("a.", "z."))] == [
        "a.pkl",
        "z.pkl",
    ]
    assert not (filled.root / LOCK_NAME).exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"Hello", "not readable as joblib: not a readable pickle: 72 is no instruction of one"),
        (b"\x80", "not readable as joblib: not a readable pickle: "),
    ],
)
def test_a_file_that_is_no_pickle_is_told_of_with_what_to_do(
    shelf: Any, content: bytes, problem: str
) -> None:
    shelf.put("m.joblib", content)
    with pytest.raises(ArtifactUnreadableError) as caught:
        lock_directory(shelf.root)
    assert caught.value.problem.startswith(problem)
    assert caught.value.hint.startswith("save the model anew, or take the file out of the root")
    assert ("--format m.joblib=NAME" in caught.value.hint) is bool(content)


def test_streams_that_are_never_read_are_never_locked(shelf: Any) -> None:
    shelf.put("old.joblib", b"ZF0x10")
    with pytest.raises(ArtifactUnreadableError, match=r"joblib before 0\.10"):
        lock_directory(shelf.root)


def test_a_library_that_is_needed_to_look_inside_is_named(
    shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put("m.skops", b"")
    monkeypatch.setitem(sys.modules, "skops", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'loadonce\[skops\]'"):
        lock_directory(shelf.root)


def test_a_malformed_lock_file_is_not_silently_replaced(shelf: Any) -> None:
    (shelf.root / LOCK_NAME).write_text("lock_version = 99")
    with pytest.raises(LockFileError):
        lock_directory(shelf.root)


def test_one_file_can_be_locked_alone(filled: Any, tmp_path: Path) -> None:
    entry = lock_file(filled.root, "tables/t.json")
    assert (entry.format, entry.size, entry.version) == ("json", 2, None)
    assert not (tmp_path / LOCK_NAME).exists()


class Ours:
    """A class that no list knows."""


def test_what_was_allowed_stays_so_for_the_same_bytes(shelf: Any) -> None:
    shelf.put("ours.pkl", pickle.dumps(Ours()))
    name = f"{__name__}.Ours"
    lock_directory(shelf.root, allow=[name])
    assert lock_directory(shelf.root).is_unchanged
    assert lock_directory(shelf.root).lock.entries["ours.pkl"].globals == (name,)
    shelf.put("ours.pkl", pickle.dumps([Ours()]))
    with pytest.raises(UntrustedGlobalError, match="Ours"):
        lock_directory(shelf.root)


def test_a_lock_file_that_says_all_is_left_alone(filled: Any) -> None:
    lock_directory(filled.root)
    lock = filled.root / LOCK_NAME
    lock.write_text(f"# a note\n{lock.read_text()}")
    lock_directory(filled.root)
    assert lock.read_text().startswith("# a note")


@pytest.mark.parametrize("function", [eval, sys.exit])
def test_nobody_is_told_to_allow_what_acts(shelf: Any, function: Any) -> None:
    shelf.put("act.pkl", pickle.dumps(function))
    with pytest.raises(UntrustedGlobalError, match="a model has no use for it") as caught:
        lock_directory(shelf.root)
    assert "--allow" not in str(caught.value)


def test_the_lock_file_of_a_root_below_is_no_artifact(filled: Any) -> None:
    lock_directory(filled.root / "tables")
    assert "tables/t.json" in lock_directory(filled.root).lock.entries
    lock_directory(filled.root / "tables")
    assert lock_directory(filled.root).is_unchanged
    assert not any(path.endswith(LOCK_NAME) for path in LockFile.read(filled.root).entries)


def test_options_that_name_nothing_are_refused(filled: Any) -> None:
    with pytest.raises(ArtifactNotFoundError, match=r"^x.bin: a format for a file that is not"):
        lock_directory(filled.root, formats={"x.bin": "json"})
    with pytest.raises(ConfigurationError, match=r"'Ratio' is no MODULE\.NAME"):
        lock_directory(filled.root, allow=["Ratio"])
    assert not (filled.root / LOCK_NAME).exists()
