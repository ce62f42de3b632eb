"""What problem documents say, and what they never say."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from loadonce.errors import (
    DeadlineExceededError,
    FailedError,
    LoadError,
    NotReadyError,
    NotRunningError,
    QuarantinedError,
    QueueFullError,
    UnavailableError,
)
from loadonce.http import Problem, problem_response


def request(**state: object) -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [], "state": state})


def told(error: Exception, **state: object) -> tuple[dict[str, Any], dict[str, str]]:
    response = problem_response(request(**state), error)
    assert response.headers["content-type"] == "application/problem+json"
    document = json.loads(bytes(response.body))
    assert document["status"] == response.status_code
    return document, dict(response.headers)


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (NotReadyError, "Model not ready"),
        (FailedError, "Model failed to load"),
        (QueueFullError, "Too many requests for this model"),
        (UnavailableError, "Model unavailable"),
    ],
)
def test_an_unavailable_model_is_503_with_the_time_to_come_back(
    kind: type[UnavailableError], title: str
) -> None:
    error = kind("heart", "the reason", retry_after=8.2, hint="raise max_queue=")
    document, headers = told(error)
    assert (document["status"], document["title"], document["model"]) == (503, title, "heart")
    assert document["detail"] == "model 'heart': the reason"  # the hint is for the operator
    assert 9 <= document["retry_after"] <= 11
    assert headers["retry-after"] == str(document["retry_after"])
    assert headers["cache-control"] == "no-store"


def test_a_version_in_quarantine_is_503_and_does_not_ask_to_come_back() -> None:
    document, headers = told(QuarantinedError("heart", "abc" * 20))
    assert (document["status"], document["title"]) == (503, "Model in quarantine")
    assert document["type"] == "urn:problem-type:loadonce:quarantined"
    assert "retry-after" not in headers


def test_a_permanent_failure_has_no_retry_after() -> None:
    document, headers = told(FailedError("heart", "the model failed to load"))
    assert "retry_after" not in document
    assert "retry-after" not in headers


@pytest.mark.parametrize("wait", [0.0, 0.01, 1.0, "soon"])
def test_retry_after_is_at_least_a_second(wait: object) -> None:
    document, _headers = told(Problem(503, retry_after=wait))
    assert document["retry_after"] in (1, 2)


def test_retry_after_is_spread_so_that_clients_do_not_come_back_together() -> None:
    waits = {told(NotReadyError("x", "", retry_after=40.0))[0]["retry_after"] for _ in range(100)}
    assert len(waits) > 3
    assert min(waits) >= 40
    assert max(waits) <= 50


def test_a_missed_deadline_is_504() -> None:
    document, _headers = told(DeadlineExceededError("heart", 30.0, "queue"))
    assert document["status"] == 504
    assert document["model"] == "heart"
    assert "30 s" in document["detail"]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret"),
        LoadError("heart", "secret"),
        NotRunningError("secret", "Models"),
    ],
)
def test_anything_else_is_500_and_says_nothing(error: Exception) -> None:
    document, _headers = told(error)
    assert document == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "",
    }


def test_an_http_exception_keeps_its_headers_and_text() -> None:
    document, headers = told(HTTPException(405, headers={"Allow": "GET"}))
    assert document["title"] == document["detail"] == "Method Not Allowed"
    assert headers["allow"] == "GET"


def test_a_detail_that_is_no_text_becomes_a_member() -> None:
    error = HTTPException(409)
    error.detail = {"taken": ["a", math.nan, b"x"]}  # type: ignore[assignment]  # as FastAPI allows
    document, _headers = told(error)
    assert document["detail"] == "Conflict"
    assert document["context"] == {"taken": ["a", None, "b'x'"]}


@pytest.mark.parametrize("status", [204, 205, 304, 103])
def test_statuses_without_a_body_have_none(status: int) -> None:
    response = problem_response(request(), Problem(status, headers={"X-Why": "so"}))
    assert (response.status_code, response.body) == (status, b"")
    assert response.headers["x-why"] == "so"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("", "about:blank"),
        ("too-large", "urn:problem-type:too-large"),
        ("https://example.org/too-large", "https://example.org/too-large"),
        ("urn:x:y", "urn:x:y"),
    ],
)
def test_the_type_names_the_kind_of_problem(code: str, kind: str) -> None:
    assert told(Problem(413, code=code))[0]["type"] == kind


def test_an_app_adds_members_of_its_own() -> None:
    problem = Problem(422, "Bad picture", "Not a PNG.", model="mri", version="3", seen={1}, at=(2,))
    document, _headers = told(problem)
    assert document == {
        "type": "about:blank",
        "title": "Bad picture",
        "status": 422,
        "detail": "Not a PNG.",
        "model": "mri",
        "version": "3",
        "seen": [1],
        "at": [2],
    }


def test_members_that_are_nested_too_deeply_are_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    deep: list[object] = []
    for _ in range(2000):
        deep = [deep]
    endless: list[object] = []
    endless += [endless, endless]
    for members in (deep, endless):
        document, headers = told(Problem(409, detail="Taken.", found=members, retry_after=3))
        assert (document["status"], document["detail"]) == (409, "Taken.")
        assert "found" not in document
        assert headers["retry-after"] in ("3", "4")
    assert caplog.text.count("nested too deeply") == 2
    assert told(Problem(409, found=[[[]]]))[0]["found"] == [[[]]]  # the control


def test_a_status_nobody_knows_has_a_title_too() -> None:
    assert told(Problem(599))[0]["title"] == "Error"


def test_the_request_is_named_where_the_app_gives_it_an_id() -> None:
    document, _headers = told(Problem(404), request_id="a/b")
    assert document["request_id"] == "a/b"
    assert document["instance"] == "urn:request:a%2Fb"
    assert "instance" not in told(Problem(404), request_id=7)[0]


def test_texts_that_are_no_unicode_are_told_all_the_same() -> None:
    assert told(Problem(400, detail="\ud800"))[0]["detail"] == "\ud800"
