"""The command line as a process of its own, and registries of one test."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

PREAMBLE = """
from typing import Annotated
from fastapi import Depends, FastAPI
from loadonce import Handle, Model, Registry, Source, artifact
from loadonce.http import install

def text(source: Source) -> str:
    return bytes(source.data).decode()
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run("lock", "models")` runs the command in the test's directory."""

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        script = Path(sys.executable).parent / "loadonce"
        return subprocess.run(
            [script, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=20
        )

    return command


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """`write("code")` makes main.py and an empty directory of models."""

    def make(code: str) -> Path:
        (tmp_path / "main.py").write_text(PREAMBLE + textwrap.dedent(code))
        models = tmp_path / "models"
        models.mkdir(exist_ok=True)
        return models

    return make
