"""Another major or minor version stops the load, another patch warns, the same says nothing."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from loadonce.artifacts import LockEntry, check_libraries, installed_versions
from loadonce.errors import IncompatibleLibraryError

NUMPY = version("numpy")
MAJOR, MINOR = NUMPY.split(".")[:2]


def entry(**libraries: str) -> LockEntry:
    return LockEntry("a.joblib", 1, "ab" * 32, "joblib", libraries)


def test_installed_versions_are_found_and_absent_ones_left_out() -> None:
    found = installed_versions(["numpy", "no-such-library", "xgboost"])
    assert found["numpy"] == NUMPY
    assert set(found) == {"numpy", "xgboost"}


def test_versions_are_told_in_one_order() -> None:
    """Names that come from a set would change places from run to run."""
    assert list(installed_versions(["xgboost", "numpy", "joblib"])) == [
        "joblib",
        "numpy",
        "xgboost",
    ]


def test_the_same_versions_pass_silently() -> None:
    assert check_libraries(entry(numpy=NUMPY)) == []


def test_another_patch_warns() -> None:
    (warning,) = check_libraries(entry(numpy=f"{MAJOR}.{MINOR}.999"))
    assert warning == f"a.joblib was locked with numpy {MAJOR}.{MINOR}.999, {NUMPY} is installed"


@pytest.mark.parametrize("locked", [f"{MAJOR}.999.0", f"999.{MINOR}.0", "dev", "999"])
def test_another_major_or_minor_stops(locked: str) -> None:
    with pytest.raises(IncompatibleLibraryError) as caught:
        check_libraries(entry(numpy=locked))
    message = str(caught.value)
    assert "a.joblib" in message
    assert f"expected: numpy {locked}" in message
    assert f"found: numpy {NUMPY}" in message
    assert "to do: install" in message
    assert len(check_libraries(entry(numpy=locked), allow_other_versions=True)) == 1


def test_a_library_that_is_gone_stops() -> None:
    with pytest.raises(IncompatibleLibraryError, match="zzz is not installed"):
        check_libraries(entry(zzz="1.0"))
    (warning,) = check_libraries(entry(zzz="1.0"), allow_other_versions=True)
    assert "which is not installed" in warning
