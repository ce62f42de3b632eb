"""`loadonce lock` and `loadonce check --strict` have nothing to say against any example."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from .conftest import EXAMPLES, Example

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def loadonce(example: Example, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from loadonce.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, cwd=example.directory, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", sorted(path.parent.name for path in EXAMPLES.glob("*/app.py")))
def test_an_example_is_in_order(name: str, example: Callable[[str], Example]) -> None:
    if name == "one_model":
        pytest.importorskip("torch", reason="the example with one model needs torch")
    made = example(name)
    made.make_model()
    locked = loadonce(made, "lock", "models", "--check")
    assert locked.returncode == 0, locked.stderr
    checked = loadonce(made, "check", "app:app", "--strict")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 warnings, 0 errors" in checked.stdout


def test_a_missing_model_is_noticed(example: Callable[[str], Example]) -> None:
    """The control."""
    made = example("quickstart")
    made.make_model()
    (made.directory / "models/iris.joblib").unlink()
    assert loadonce(made, "check", "app:app").returncode == 1
