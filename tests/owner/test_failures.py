"""Exceptions cross as what they are where both sides know them, else as their names."""

from __future__ import annotations

from typing import Any

import pytest

from loadonce.errors import (
    BatchResultError,
    CallFailedError,
    DeadlineExceededError,
    InvalidRowsError,
    LoaderFailedError,
    LoadOnceError,
    NotReadyError,
    QueueFullError,
    StartupError,
)
from loadonce.owner.failures import error_of, error_tree

from .test_codec import Plain


class OwnError(Exception):
    """An app's."""


def through(error: BaseException) -> Any:
    return error_of(error_tree("m", error, _no_bytes), _no_bytes)


def _no_bytes(*_any: Any) -> Any:
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [
        QueueFullError("m", "full", retry_after=2.5, hint="wait"),
        NotReadyError("m", "loading"),
        DeadlineExceededError("m", 3.0, "queue"),
        BatchResultError("m", "f", 2, "1 results"),
        InvalidRowsError("row 1"),
        LoaderFailedError("m", "no", path="a.bin", found="b"),
        ValueError("bad", 3),
        KeyError("k"),
        ZeroDivisionError("division by zero"),
        FileNotFoundError(2, "No such file"),
    ],
    ids=repr,
)
def test_known_errors_cross_with_all_they_say(error: Exception) -> None:
    found = through(error)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert found.args == error.args
    if isinstance(error, LoadOnceError):
        assert vars(found) == vars(error)


def test_an_error_of_the_app_is_named_and_what_it_says_is_not_in_the_message() -> None:
    found = through(OwnError("glucose 148"))
    assert isinstance(found, CallFailedError)
    assert (found.model, found.text) == ("m", "glucose 148")
    assert found.kind.endswith("test_failures.OwnError")
    assert "OwnError" in str(found)
    assert "148" not in str(found)


def test_where_it_was_raised_is_told() -> None:
    def fail(error: Exception) -> Any:
        try:
            raise error
        except Exception as caught:
            return through(caught)

    assert fail(OwnError()).where.startswith("test_failures.py:")
    assert "test_failures.py:" in fail(ValueError("x")).__notes__[0]


def test_arguments_that_cannot_cross_are_told_as_text() -> None:
    assert through(ValueError(Plain())).args[0].startswith("<")
    assert "2 models" not in str(through(StartupError([LoadOnceError("a")])))


def test_what_is_made_otherwise_than_it_is_kept_is_an_error_all_the_same() -> None:
    tree: list[object] = ["builtins", "UnicodeDecodeError", ["one"], {}, ""]
    assert isinstance(error_of(tree, _no_bytes), UnicodeDecodeError)
    tree = ["builtins", "SystemExit", [1], {}, ""]
    assert isinstance(error_of(tree, _no_bytes), RuntimeError)
