"""The lock file comes back as it was written, is replaced in one step, and names its flaws."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadonce.artifacts import LOCK_NAME, Golden, LockEntry, LockFile
from loadonce.artifacts.lock import MAX_LOCK_BYTES
from loadonce.artifacts.names import problem_with
from loadonce.errors import ConfigurationError, LockFileError

ENTRY = LockEntry(
    "models/a.joblib",
    size=12,
    sha256="ab" * 32,
    format="joblib",
    libraries={"numpy": "2.4.6", "scikit-learn": "1.9.1"},
    globals=("numpy.dtype", "numpy:random.mtrand.RandomState", "sklearn.pipeline.Pipeline"),
    version="2026-11",
    golden=Golden("predict_proba", [[1, None, "x"]], [[0.25, 0.75]], rtol=1e-3, atol=0.0),
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
labels = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
paths = labels.filter(lambda text: not problem_with(text))
entries = st.builds(
    LockEntry,
    path=paths,
    size=st.integers(0, 2**62),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    format=st.sampled_from(["joblib", "onnx", "my-format.2"]),
    libraries=st.dictionaries(labels, labels, max_size=3),
    globals=st.sets(st.sampled_from(ENTRY.globals)).map(lambda names: tuple(sorted(names))),
    version=st.none() | labels,
    golden=st.none() | st.builds(Golden, st.just("predict"), json_values, json_values),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=st.lists(entries, max_size=4, unique_by=lambda entry: entry.path))
def test_what_is_written_is_read_again(tmp_path: Path, some: list[LockEntry]) -> None:
    lock = LockFile({entry.path: entry for entry in some})
    lock.write(tmp_path)
    assert LockFile.read(tmp_path) == lock


def test_the_text_is_sorted_and_has_one_name_per_line(tmp_path: Path) -> None:
    other = LockEntry("a.json", 2, "cd" * 32, "json")
    LockFile({ENTRY.path: ENTRY, other.path: other}).write(tmp_path)
    first = (tmp_path / LOCK_NAME).read_text()
    LockFile({other.path: other, ENTRY.path: ENTRY}).write(tmp_path)
    assert (tmp_path / LOCK_NAME).read_text() == first
    assert first.index("a.json") < first.index("models/a.joblib")
    assert '\n    "numpy.dtype",\n    "numpy:random.mtrand.RandomState",\n' in first
    assert '\n"numpy" = "2.4.6"\n"scikit-learn" = "1.9.1"\n' in first


def test_the_label_is_the_declared_version_or_the_digest() -> None:
    assert ENTRY.label == "2026-11"
    assert LockEntry("a", 1, "ab" * 32, "file").label == "abababababab"


def test_entries_below_a_directory_are_found_by_their_rest() -> None:
    lock = LockFile().with_entry(ENTRY).with_entry(LockEntry("models2/b", 1, "ab" * 32, "file"))
    assert set(lock.under("models")) == {"a.joblib"} == set(lock.under("models/"))


def test_a_lock_file_is_never_half_written(tmp_path: Path) -> None:
    """Readers beside a writer see whole files only."""
    few, many = LockFile(), LockFile()
    for number in range(200):
        many = many.with_entry(LockEntry(f"{number}", number, "ab" * 32, "file"))
    few.write(tmp_path)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            many.write(tmp_path)
            few.write(tmp_path)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert {len(LockFile.read(tmp_path).entries) for _ in range(60)} <= {0, 200}
    finally:
        stop.set()
        writer.join()
    assert os.listdir(tmp_path) == [LOCK_NAME]


def test_the_file_is_readable_by_others_whatever_the_umask(tmp_path: Path) -> None:
    was = os.umask(0o077)
    try:
        LockFile().write(tmp_path)
    finally:
        os.umask(was)
    assert stat.S_IMODE((tmp_path / LOCK_NAME).stat().st_mode) == 0o644


def test_a_failed_write_leaves_the_old_one_and_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).mkdir()
    with pytest.raises(LockFileError, match="could not be written") as caught:
        LockFile().write(tmp_path)
    assert caught.value.hint.startswith(f"let user {os.geteuid()} write to {tmp_path}")
    assert os.listdir(tmp_path) == [LOCK_NAME]


def test_a_full_disk_leaves_the_old_one_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LockFile({ENTRY.path: ENTRY}).write(tmp_path)

    def no_space(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(LockFileError, match="No space left"):
        LockFile().write(tmp_path)
    assert LockFile.read(tmp_path).entries == {ENTRY.path: ENTRY}
    assert os.listdir(tmp_path) == [LOCK_NAME]


def test_a_golden_example_that_is_not_json_is_refused_before_writing(tmp_path: Path) -> None:
    entry = LockEntry("a", 1, "ab" * 32, "file", golden=Golden("predict", float("nan"), 1))
    with pytest.raises(ConfigurationError, match="golden example of 'a'"):
        LockFile().with_entry(entry).write(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_missing_lock_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(LockFileError, match=r"there is no lock file[^$]*loadonce lock"):
        LockFile.read(tmp_path)


def test_a_root_that_is_not_there_is_no_reason_to_lock_it(tmp_path: Path) -> None:
    with pytest.raises(LockFileError, match=r"root .*/nowhere is no directory[^$]*correct `root=`"):
        LockFile.read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff", r"not valid UTF-8 \(byte 0\)"),
        (b"lock_version = 1\n" + b"#" * MAX_LOCK_BYTES, "larger than"),
        (b"x = " + b"[" * 100_000, "not valid TOML"),
        (b"x = " + b"9" * 5_000, "not valid TOML"),
    ],
)
def test_unreadable_lock_files_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / LOCK_NAME).write_bytes(content)
    with pytest.raises(LockFileError, match=problem) as caught:
        LockFile.read(tmp_path)
    assert caught.value.hint.startswith("restore the file from version control")


def test_a_lock_file_without_permission_names_the_user(unprivileged: Any) -> None:
    LockFile().write(unprivileged.path)
    os.chmod(unprivileged.path / LOCK_NAME, 0o000)
    if os.geteuid() == 0:
        os.seteuid(65534)
    with pytest.raises(LockFileError, match="Permission denied") as caught:
        LockFile.read(unprivileged.path)
    assert caught.value.hint == f"let user {os.geteuid()} read the file and enter its directories"


def test_a_lock_file_that_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / LOCK_NAME)
    with pytest.raises(LockFileError, match=r"not a regular file\n  to do: put a regular file"):
        LockFile.read(tmp_path)
