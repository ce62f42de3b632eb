"""`scripts/serve`: VitalCheck from a fresh clone, in one command."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

Launch = Callable[..., Any]

REPOSITORY = Path(__file__).parents[2]
PYTHON = '#!/bin/sh\necho "$*" >> "$(dirname "$0")/../../calls.txt"\n'
PLAIN = {"COLUMNS": "100", "_TYPER_FORCE_DISABLE_TERMINAL": "1"}  # no colours, no cut options


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The scripts and what they read, beside the environment that runs these tests.

    The environment is not made anew: in the place of its Python stands one that notes what it is
    asked to do, so that no test changes the environment it runs in.
    """
    for directory in ("scripts", "requirements"):
        shutil.copytree(REPOSITORY / directory, tmp_path / directory)
    (tmp_path / "apps" / "vitalcheck").mkdir(parents=True)
    for path in ("pyproject.toml", "apps/vitalcheck/pyproject.toml"):
        shutil.copy(REPOSITORY / path, tmp_path / path)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "pip"):  # without either it would count as interrupted, and be replaced
        (programs / name).write_text(PYTHON)
        (programs / name).chmod(0o755)
    (programs / "loadonce").symlink_to(Path(sys.executable).with_name("loadonce"))
    return tmp_path


def calls(clone: Path) -> list[str]:
    """What the environment's Python was asked to do since the last look."""
    notes = clone / "calls.txt"
    lines = notes.read_text().splitlines() if notes.exists() else []
    notes.unlink(missing_ok=True)
    return lines


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_serve_is_ready_in_seconds_and_ends_when_told(clone: Path, launch: Launch) -> None:
    serve, port = str(clone / "scripts" / "serve"), _free_port()
    assert launch(serve, "--help").wait() == 0  # installs
    assert calls(clone) != []
    began = time.monotonic()
    process = launch(serve, "--port", f"{port}")
    process.wait_for(rf"ready on http://127\.0\.0\.1:{port}\b", 30)
    assert httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=10).json()["status"] == "ok"
    assert time.monotonic() - began < 30
    assert calls(clone) == []  # nothing to install: the environment was there
    assert process.stop(signal.SIGTERM, 20) == 0
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=10)


def test_an_example_is_trained_locked_and_served_by_one_command(
    clone: Path, launch: Launch
) -> None:
    shutil.copytree(
        REPOSITORY / "examples", clone / "examples", ignore=shutil.ignore_patterns("models")
    )
    python = clone / ".venv" / "bin" / "python"
    python.write_text(
        f'#!/bin/sh\n[ "$1" = make_model.py ] || exit 0\nexec {sys.executable} "$@"\n'
    )
    port = _free_port()
    process = launch(str(clone / "scripts" / "example"), "quickstart", "--port", f"{port}")
    process.wait_for(rf"ready on http://127\.0\.0\.1:{port}\b", 60)
    flower = {"petal_length": 1.4, "petal_width": 0.2}
    answer = httpx2.post(f"http://127.0.0.1:{port}/species", json=flower, timeout=10)
    assert answer.json() == "setosa"
    assert process.stop(signal.SIGTERM, 20) == 0


@pytest.mark.parametrize("name", [(), ("no-such-example",)])
def test_without_an_example_its_script_says_which_there_are(
    clone: Path, launch: Launch, name: tuple[str, ...]
) -> None:
    shutil.copytree(REPOSITORY / "examples", clone / "examples")
    refused = launch(str(clone / "scripts" / "example"), *name)
    assert refused.wait() == 2
    assert "examples/registry/" in refused.output


def test_serve_shows_the_help_of_loadonce_serve(clone: Path, launch: Launch) -> None:
    shown = launch(str(clone / "scripts" / "serve"), "--help", **PLAIN)
    assert shown.wait() == 0
    for words in ("loadonce serve [OPTIONS]", "--port", "--drain-delay"):
        assert words in shown.output
    refused = launch(str(clone / "scripts" / "serve"), "--no-such-option", **PLAIN)
    assert refused.wait() == 2
    assert "--no-such-option" in refused.output


def test_serve_installs_again_once_what_is_wanted_has_changed(clone: Path, launch: Launch) -> None:
    serve = str(clone / "scripts" / "serve")
    installs = []
    for change in ("", "", "# another pin\n"):
        with (clone / "requirements" / "serve.txt").open("a") as requirements:
            requirements.write(change)
        assert launch(serve, "--help").wait() == 0
        installs.append(any("pip install" in call for call in calls(clone)))
    assert installs == [True, False, True]
    with (clone / ".venv" / "bin" / "python").open("a") as python:
        python.write("exit 1\n")
    (clone / "requirements" / "serve.txt").write_text("")
    assert launch(serve, "--help").wait() == 1  # what could not be installed is not served
