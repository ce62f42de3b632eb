"""From options to exit code, without a signal: every start that fails. See tests/integration."""

from __future__ import annotations

import faulthandler
import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from loadonce.server import ServeOptions, serve

Module = Callable[[str], str]
Serve = Callable[..., tuple[int, str]]

LIFESPAN = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from loadonce import LoadOnceError

@asynccontextmanager
async def lifespan(app):
    {}
    yield

app = FastAPI(lifespan=lifespan)
"""


@pytest.fixture
def start(module: Module, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Serve:
    """`start("code", log_level="debug")` serves an app that fails: exit code and output."""
    gc.collect()  # registries of other tests

    def run(code: str, **chosen: object) -> tuple[int, str]:
        target = f"{module(code)}:app"
        options = ServeOptions(target=target, app_dir=tmp_path, port=0, fork=False, **chosen)  # type: ignore[arg-type]
        return serve(options), capsys.readouterr().err

    return run


def test_an_error_of_the_apps_own_lifespan_says_where(start: Serve) -> None:
    code, text = start(LIFESPAN.format("raise KeyError('oops')"))
    assert code == 3
    assert "the app's start failed: KeyError: 'oops' (served_" in text
    assert "Traceback" not in text


def test_debug_shows_where_in_full(start: Serve) -> None:
    code, text = start(LIFESPAN.format("raise KeyError('oops')"), log_level="debug")
    assert code == 3
    assert "Traceback" in text


def test_where_errors_are_shown_somebody_elses_come_with_their_traceback(start: Serve) -> None:
    code, text = start(LIFESPAN.format("raise KeyError('oops')"), shows_errors=True)
    assert code == 3
    assert "Traceback" in text
    code, text = start("import nowhere_at_all", shows_errors=True)
    assert code == 1
    assert "Traceback" in text
    code, text = start(LIFESPAN.format("raise LoadOnceError('model gone')"), shows_errors=True)
    assert (code, text) == (3, "model gone\n")


def test_an_error_of_ours_is_found_inside_a_group(start: Serve) -> None:
    raised = "raise ExceptionGroup('both', [ValueError('x'), LoadOnceError('model gone')])"
    code, text = start(LIFESPAN.format(raised))
    assert code == 3
    assert text.splitlines()[-1] == "model gone"


def test_a_group_without_an_error_of_ours_is_told_as_it_is(start: Serve) -> None:
    code, text = start(LIFESPAN.format("raise ExceptionGroup('both', [ValueError('x')])"))
    assert code == 3
    assert "ExceptionGroup: both (1 sub-exception)" in text


def test_an_app_without_a_lifespan_fails_if_it_has_models(start: Serve) -> None:
    code, text = start(
        "from loadonce import Registry\nmodels = Registry()\nasync def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n"
    )
    assert code == 1
    assert "pass `lifespan=models.lifespan` to FastAPI" in text


def test_what_cannot_be_read_for_tls_is_named(start: Serve, tmp_path: Path) -> None:
    code, text = start("app = 1", ssl_certfile=tmp_path / "none.pem")
    assert code == 1
    assert "none.pem: No such file or directory" in text
    (tmp_path / "empty.pem").write_text("")
    code, text = start("app = 1", ssl_certfile=tmp_path / "empty.pem")
    assert code == 1
    assert "TLS with" in text


@pytest.mark.parametrize("was_enabled", [True, False])
def test_a_crash_in_native_code_will_show_where(start: Serve, was_enabled: bool) -> None:
    if was_enabled:
        faulthandler.enable(2)
    else:
        faulthandler.disable()
    start("app = 1")
    assert faulthandler.is_enabled()
