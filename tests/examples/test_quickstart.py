"""The README's quickstart: trained, locked, served, tested."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from fastapi.testclient import TestClient

from .conftest import EXAMPLES, Example


def test_it_answers_from_its_model(example: Callable[[str], Example]) -> None:
    quickstart = example("quickstart")
    quickstart.make_model()
    with TestClient(quickstart.module().app) as client:
        for length, width, expected in ((1.4, 0.2, "setosa"), (6.0, 2.5, "virginica")):
            answer = client.post("/species", json={"petal_length": length, "petal_width": width})
            assert answer.json() == expected
        assert client.get("/readyz").json()["status"] == "ok"


def test_its_own_test_passes_without_the_artifact(example: Callable[[str], Example]) -> None:
    quickstart = example("quickstart")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_app.py"]
    done = subprocess.run(command, cwd=quickstart.directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert not (quickstart.directory / "models").exists()


def test_it_is_the_code_of_the_readme() -> None:
    """Word for word, after the first lines that say how to run it."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    _docstring, code = (EXAMPLES / "quickstart/app.py").read_text().split('"""\n\n', 1)
    assert code in readme
    assert (EXAMPLES / "quickstart/make_model.py").read_text().split('"""\n\n')[1] in readme
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 25
