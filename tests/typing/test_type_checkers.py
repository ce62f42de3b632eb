"""mypy --strict and pyright accept what must work, and object to exactly what must not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RIGHT = sorted(path for path in HERE.glob("*.py") if not path.name.startswith("test_"))
WRONG = sorted((HERE / "wrong").glob("*.py"))
MARK = re.compile(r"# error(?:: (?P<only>mypy|pyright))?$")

pytestmark = pytest.mark.timeout(300)  # a checker without its cache reads FastAPI and pydantic

Lines = set[tuple[str, int]]


def mypy(paths: list[Path]) -> Lines:
    """The lines to which mypy objects."""
    command = [sys.executable, "-m", "mypy", "--output", "json", *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {
        (Path(each["file"]).name, each["line"]) for each in found if each["severity"] == "error"
    }


def pyright(paths: list[Path]) -> Lines:
    """The lines to which pyright objects."""
    executable = Path(sys.executable).with_name("pyright")
    command = [str(executable), "--pythonpath", sys.executable, "--outputjson", *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] >= len(paths)
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in report["generalDiagnostics"]
        if each["severity"] == "error"
    }


CHECKERS = {"mypy": mypy, "pyright": pyright}


def marked(checker: str) -> Lines:
    """The lines that say this checker must object to them."""
    return {
        (path.name, number)
        for path in WRONG
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (mark := MARK.search(line)) and mark["only"] in (None, checker)
    }


@pytest.mark.parametrize("checker", CHECKERS)
def test_what_must_work_is_accepted(checker: str) -> None:
    assert CHECKERS[checker](RIGHT) == set()


@pytest.mark.parametrize("checker", CHECKERS)
def test_each_wrong_line_is_an_error_and_no_other(checker: str) -> None:
    """A typo in a model's name, a wrong loader, a wrong stub, a wrong function for a call."""
    assert CHECKERS[checker](WRONG) == marked(checker)
    assert len(marked(checker)) > 15
