"""Where things lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
HERE: Final = ROOT / "benchmarks"
ARTIFACTS: Final = HERE / ".artifacts"
MODELS: Final = ARTIFACTS / "models"
RESULTS: Final = HERE / ".results"
REQUIREMENTS: Final = HERE / "requirements"
VITALCHECK: Final = ROOT / "apps" / "vitalcheck" / "src" / "vitalcheck" / "artifacts"
SOURCES: Final = (ROOT / "src", ROOT / "apps" / "vitalcheck" / "src")
PAGE: Final = ROOT / "docs" / "benchmarks.md"
CHART: Final = ROOT / "docs" / "images" / "benchmarks.svg"


def environments() -> Path:
    """Where contenders' environments are made; `LOADONCE_BENCH_ENVIRONMENTS` moves it."""
    chosen = os.environ.get("LOADONCE_BENCH_ENVIRONMENTS")
    return Path(chosen).absolute() if chosen else HERE / ".environments"


def executable(environment: str, name: str) -> Path:
    """A program of a contender's environment; "repository" is this clone's own."""
    directory = ROOT / ".venv" if environment == "repository" else environments() / environment
    return directory / "bin" / name


def mlserver_directory(workload: str, is_batched: bool) -> Path:
    """Where MLServer finds its settings for a workload."""
    return ARTIFACTS / "mlserver" / (f"{workload}-adaptive" if is_batched else workload)
