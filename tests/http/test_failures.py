"""The log of a failed request: where and what kind, never a word of what was submitted."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from loadonce import ConfigurationError, artifact
from loadonce.errors import BatchResultError
from loadonce.http.failures import log_failure

CANARY = "canary-4711"


def fail_in_scikit_learn() -> None:
    LogisticRegression().fit([1, 2], [0, 1])


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def logged(error: BaseException, caplog: pytest.LogCaptureFixture, **scope: Any) -> str:
    caplog.clear()
    log_failure(error, scope)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert CANARY not in caplog.text
    return caplog.text


def test_causes_and_what_was_being_handled_are_named(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        try:
            int(CANARY)
        except ValueError as error:
            raise RuntimeError(CANARY) from error

    def fail_while_handling() -> None:
        try:
            fail()
        except RuntimeError:
            raise KeyError(CANARY)  # noqa: B904  # that is what is tested

    with pytest.raises(KeyError) as caught:
        fail_while_handling()
    text = logged(caught.value, caplog)
    assert "error=KeyError" in text
    assert "while handling RuntimeError" in text
    assert "caused by ValueError" in text


def test_a_suppressed_context_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    error = KeyError(CANARY)
    error.__context__ = ValueError(CANARY)
    error.__suppress_context__ = True
    assert "ValueError" not in logged(error, caplog)


def test_the_parts_of_a_group_are_told(caplog: pytest.LogCaptureFixture) -> None:
    group = ExceptionGroup(CANARY, [raised(ValueError(CANARY)), KeyError(CANARY)])
    text = logged(group, caplog)
    assert "one of ValueError" in text
    assert "one of KeyError" in text


def test_a_long_story_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    group = ExceptionGroup("", [KeyError() for _ in range(100)])
    assert logged(group, caplog).count("one of") == 4

    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        raise KeyError

    with pytest.raises(KeyError) as caught:
        deep(100)
    assert logged(caught.value, caplog).count("in deep") < 30


def test_errors_of_loadonce_speak_for_themselves(caplog: pytest.LogCaptureFixture) -> None:
    text = logged(BatchResultError("heart", "risks", 2, "3 results"), caplog)
    assert "loadonce.errors.BatchResultError: model 'heart': batch function 'risks'" in text


def test_one_request_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    scope: dict[str, Any] = {"method": "GET"}
    first = log_failure(KeyError(), scope)
    assert log_failure(ValueError(), scope) == first
    assert len(caplog.records) == 1
    assert "where=?" in caplog.text
    assert "route=(no route)" in caplog.text


def test_it_is_named_where_in_the_apps_own_code_it_happened(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not where in a library (here scikit-learn, json and loadonce) that ended."""
    here = fail_in_scikit_learn.__code__
    with pytest.raises(ValueError, match="Expected 2D") as in_library:
        fail_in_scikit_learn()
    assert f"where={here.co_filename}:{here.co_firstlineno + 1}\n" in logged(
        in_library.value, caplog
    )
    with pytest.raises(json.JSONDecodeError) as in_python:
        json.loads("")
    assert f"where={__file__}:" in logged(in_python.value, caplog)
    with pytest.raises(ConfigurationError) as in_loadonce:
        artifact("x.joblib", threads=0)
    assert f"where={__file__}:" in logged(in_loadonce.value, caplog)


def test_without_any_code_of_the_apps_the_innermost_place_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("")
    assert caught.value.__traceback__ is not None
    error = caught.value.with_traceback(caught.value.__traceback__.tb_next)
    assert f"where={json.decoder.__file__}:" in logged(error, caplog)
    with pytest.raises(KeyError) as generated:
        exec(compile("raise KeyError", "<string>", "exec"))
    assert f"where={__file__}:" in logged(generated.value, caplog)


def test_structured_logs_get_the_way_it_came_too(caplog: pytest.LogCaptureFixture) -> None:
    log_failure(raised(KeyError(CANARY)), {})
    (record,) = caplog.records
    assert "in raised" in record.loadonce["trace"]  # type: ignore[attr-defined]
    assert CANARY not in str(record.loadonce)  # type: ignore[attr-defined]


def test_whoever_debugs_sees_the_whole_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="loadonce.http"):
        log_failure(raised(KeyError(CANARY)), {})
    assert "Traceback (most recent call last)" in caplog.text
    assert f"KeyError: '{CANARY}'" in caplog.text
