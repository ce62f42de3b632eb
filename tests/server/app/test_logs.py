"""Logs: text for people, JSON for programs, nothing that a client submitted."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable

import pytest

from loadonce import LoadOnceError, ModelEvent
from loadonce.http.failures import log_failure
from loadonce.observe.events import LogLevel, log_event
from loadonce.server.app.logs import configure_logging, format_line

Output = Callable[[], str]


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Output:
    """What was written to standard error since the last call."""
    return lambda: capsys.readouterr().err


def _fail(kind: type[BaseException], text: str) -> None:
    try:
        try:
            raise KeyError(text)
        except KeyError as error:
            raise kind(text) from error
    except BaseException:
        logging.getLogger("loadonce").exception("it failed")


def test_an_event_is_one_json_object_with_its_fields(output: Output) -> None:
    configure_logging("info", access_log=False)
    log_event(ModelEvent("a", "ready", version="1", sha256="ff", bytes_on_disk=5, seconds=0.1234))
    line = json.loads(output())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "loadonce",
        "message": "model ready",
        "model": "a",
        "version": "1",
        "sha256": "ff",
        "bytes": 5,
        "seconds": 0.123,
        "memory_added": 0,
    }


def test_a_line_for_people_has_time_level_and_text(output: Output) -> None:
    configure_logging("info", access_log=False, is_terminal=True).started()
    logging.getLogger("loadonce").warning("careful")
    assert output().endswith("\x1b[33mwarning \x1b[0m careful\n")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_texts_of_foreign_exceptions_are_hidden_but_places_are_not(
    output: Output, is_terminal: bool
) -> None:
    configure_logging("info", access_log=False, is_terminal=is_terminal).started()
    _fail(ValueError, "glucose 148")
    text = output().replace("\\n", "\n")
    assert "glucose" not in text
    assert "builtins.KeyError: (text hidden" in text
    assert "The exception above led to:" in text
    assert "builtins.ValueError: (text hidden" in text
    assert "in _fail" in text


def test_texts_of_our_own_exceptions_are_shown(output: Output) -> None:
    configure_logging("info", access_log=False)
    _fail(LoadOnceError, "model 'a' is not there")
    assert "model 'a' is not there" in output()


def test_texts_inside_a_group_are_hidden_too(output: Output) -> None:
    configure_logging("info", access_log=False)
    error = ExceptionGroup("148", [ValueError("148"), LoadOnceError("shown")])
    error.__context__ = error.exceptions[0]
    error.exceptions[0].__context__ = error  # a circle, as careless code makes them
    logging.getLogger("loadonce").error("it failed", exc_info=error)
    text = json.loads(output())["exception"]
    assert "148" not in text
    assert "shown" in text


def test_debug_shows_everything(output: Output) -> None:
    configure_logging("debug", access_log=False)
    _fail(ValueError, "glucose 148")
    assert "ValueError: glucose 148" in output()
    logging.getLogger("loadonce").error("nothing is wrong", exc_info=(None, None, None))
    assert "nothing is wrong" in output()


@pytest.mark.parametrize(("level", "opens"), [("info", True), ("error", True), ("critical", False)])
def test_errors_may_be_shown_at_other_levels(output: Output, level: LogLevel, opens: bool) -> None:
    configure_logging(level, access_log=False, shows_errors=True)
    log_failure(ValueError("glucose 148"), {})
    assert ("ValueError: glucose 148" in output()) is opens
    logging.getLogger("loadonce").debug("a detail")
    logging.getLogger("uvicorn.error").info("a step")
    assert output() == ""


def test_an_access_line_loses_its_query(output: Output) -> None:
    configure_logging("info", access_log=True)
    access = logging.getLogger("uvicorn.access")
    request = ("127.0.0.1:5", "GET", "/a?glucose=148", "1.1", 200)
    access.info('%s - "%s %s HTTP/%s" %d', *request)
    line = json.loads(output())
    assert (line["message"], line["path"], line["status"]) == ("request", "/a", 200)
    access.info("odd line")
    assert json.loads(output())["message"] == "request"
    configure_logging("info", access_log=True, is_terminal=True)
    access.info('%s - "%s %s HTTP/%s" %d', *request)
    assert '127.0.0.1:5 - "GET /a HTTP/1.1" 200' in output()


def test_uvicorns_own_lines_lose_queries_too(output: Output) -> None:
    configure_logging("debug", access_log=False)
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "a", "/ws?bmi=33")
    assert "bmi" not in output()
    logging.getLogger("uvicorn.error").info("plain %(x)s", {"x": "words"})
    assert "plain words" in output()


@pytest.mark.parametrize(("level", "shown"), [("debug", True), ("info", True), ("error", False)])
def test_the_apps_own_package_is_heard_as_loud_as_loadonce(
    output: Output, level: LogLevel, shown: bool
) -> None:
    configure_logging(level, access_log=False, package="someapp")
    logging.getLogger("someapp.part").info("from the app")
    logging.getLogger("otherlibrary").info("from elsewhere")
    text = output()
    assert ("from the app" in text) is shown
    assert "from elsewhere" not in text
    logging.getLogger("someapp").setLevel(logging.NOTSET)


def test_warnings_are_lines_too(output: Output) -> None:
    configure_logging("info", access_log=False)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("an old call", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "an old call" in json.loads(output())["message"]


def test_on_a_terminal_failures_wait_for_the_end_of_the_start(output: Output) -> None:
    lines = configure_logging("info", access_log=False, is_terminal=True)
    log_event(ModelEvent("a", "ready"))
    log_event(ModelEvent("b", "failed", error="too big"))
    logging.getLogger("loadonce").info("unrelated")
    text = output()
    assert "model" not in text
    assert "unrelated" in text
    lines.started()
    log_event(ModelEvent("c", "ready"))
    text = output()
    assert "model failed: model=b reason=too big" in text
    assert "model ready: model=c" in text
    assert "model=a" not in text


def test_elsewhere_nothing_waits(output: Output) -> None:
    configure_logging("info", access_log=False)
    log_event(ModelEvent("b", "failed", error="too big"))
    assert json.loads(output())["reason"] == "too big"


def test_a_line_can_be_made_without_writing_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", access_log=False)
    line = json.loads(format_line(logging.CRITICAL, "the end", {"requests": 2}))
    assert (line["level"], line["message"], line["requests"]) == ("critical", "the end", 2)
    logging.getLogger().handlers = []
    assert format_line(logging.CRITICAL, "the end", {}) == "the end"
    assert capsys.readouterr().err == ""


def test_lines_follow_standard_error_wherever_it_goes(
    monkeypatch: pytest.MonkeyPatch, output: Output
) -> None:
    configure_logging("info", access_log=False)
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    logging.getLogger("loadonce").info("elsewhere")
    assert "elsewhere" not in output()
