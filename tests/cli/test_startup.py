"""`loadonce inspect --startup` tells where the time of a start goes."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loadonce import lock_directory
from loadonce.cli.rehearsal import Rehearsal
from loadonce.cli.startup import Package, Startup, packages_of, show_startup

pytestmark = pytest.mark.timeout(60)  # each starts the app twice

Run = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[[str], Path]

APP = """
print("said by the app")

def slow(value: str) -> None:
    global warmed
    warmed = value

class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text, warmup=slow)
    b: Model[str] = artifact("b.bin", loader=text, required=False)
    behind: Model[str] = artifact("a.bin", loader=text, when="background")
    later: Model[str] = artifact("a.bin", loader=text, when="first_use")

models = Models(root="models")
app = FastAPI(lifespan=models.lifespan)
"""


@pytest.fixture
def models(write: Write) -> Path:
    directory = write(APP)
    (directory / "a.bin").write_bytes(b"hello")
    lock_directory(directory)
    return directory


def test_bars_show_steps_packages_and_models(run: Run, models: Path) -> None:
    done = run("inspect", "main:app", "--startup")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ready after ")
    assert "said by the app" not in done.stdout
    names = [line.split("  ")[0].strip() for line in lines]
    for step in ("Python, loadonce", "import the app", "import the server", "models"):
        assert step in names
    assert any(name.startswith("fastapi (") for name in names)
    assert any(name.startswith("Python's own (") for name in names)
    assert {"a", "b, failed", "behind, background", "later, first_use, pending"} <= set(names)
    assert "█" in done.stdout


def test_programs_are_told_the_same(run: Run, models: Path) -> None:
    found = json.loads(run("inspect", "main:app", "--startup", "--json").stdout)
    assert found["seconds"] == pytest.approx(sum(found["steps"].values()))
    assert set(found["steps"]) == {"python", "app", "server", "models"}
    assert all(seconds > 0 for seconds in found["steps"].values())
    packages = {package["name"]: package for package in found["packages"]}
    assert packages["fastapi"]["modules"] > 10
    assert {"main", "loadonce", "uvicorn"} <= set(packages)
    rows = {model["name"]: model for model in found["models"]}
    assert rows["a"]["load_seconds"] >= rows["a"]["warmup_seconds"] > 0
    assert rows["behind"]["read_seconds"] > 0
    assert rows["later"]["load_seconds"] == 0
    assert found["error"] == ""


def test_a_start_that_fails_is_shown_as_far_as_it_came(run: Run, models: Path) -> None:
    (models / "a.bin").write_bytes(b"altered")
    done = run("inspect", "main:app", "--startup")
    assert done.returncode == 1
    assert "import the app" in done.stdout
    assert "a, failed" in done.stdout
    assert "error: start-up stopped: 1 model failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_app_that_cannot_be_imported_is_one_message(run: Run, models: Path) -> None:
    done = run("inspect", "nowhere:app", "--startup")
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no module 'nowhere'")


def test_an_app_that_ends_the_process_is_told_with_its_last_words(
    run: Run, models: Path, tmp_path: Path
) -> None:
    code = "import os\nos.write(2, b'no licence\\n')\nos._exit(7)\n"
    (tmp_path / "ending.py").write_text(code)
    done = run("inspect", "ending:app", "--startup")
    assert done.returncode == 1
    assert done.stderr == "error: the start ended with code 7:\nno licence\n"


def test_packages_are_summed_over_their_modules_and_sorted() -> None:
    lines = """
import time: self [us] | cumulative | imported package
import time:      1000 |       1000 |   numpy._core
import time:       500 |       1500 | numpy
import time:       200 |        200 | json.decoder
import time:        50 |        250 | json
what the app wrote
import time:      9000 |       9250 | shop
"""
    assert packages_of(lines) == [
        Package("shop", 0.009, 1),
        Package("numpy", 0.0015, 2),
        Package("Python's own", 0.00025, 2),
    ]


def shown(models: list[dict[str, Any]], packages: int = 0) -> list[str]:
    out = io.StringIO()
    rehearsal = Rehearsal(python=0.1, app=0.2, server=0.05, models=0.4, each=models)
    many = [Package(f"p{number}", 1.0 - number / 100, 1) for number in range(packages)]
    show_startup(Console(file=out, width=120), Startup(rehearsal, many))
    return out.getvalue().splitlines()


def test_bars_have_the_lengths_of_what_they_show() -> None:
    lines = {line.partition("  ")[0]: line.count("█") for line in shown([])}
    assert lines["models"] == 40
    assert lines["import the app"] == 20
    assert lines["Python, loadonce"] == 10


def test_the_slowest_model_comes_first_and_its_parts_make_one_bar() -> None:
    seconds = {"read_seconds": 0.1, "load_seconds": 0.9, "warmup_seconds": 0.4}
    quick = {"read_seconds": 0.0, "load_seconds": 0.25, "warmup_seconds": 0.0}
    lines = shown(
        [
            {"name": "quick", "state": "ready", "when": "startup", **quick},
            {"name": "slow", "state": "ready", "when": "startup", **seconds},
        ]
    )
    bars = [line for line in lines if line.startswith(("quick", "slow"))]
    assert [line.split()[0] for line in bars] == ["slow", "quick"]
    assert [line.count("█") for line in bars] == [40, 10]


def test_a_start_without_models_shows_no_bars_of_models() -> None:
    assert not any("read and hash" in line for line in shown([]))


def test_many_packages_end_in_one_line_for_the_others() -> None:
    lines = [line for line in shown([], packages=20) if line.startswith(("p", "others"))]
    assert len(lines) == 13
    assert lines[-1].startswith("others (8)")
