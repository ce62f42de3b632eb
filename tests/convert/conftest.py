"""Models in a locked directory, builders that a conversion's process can import, its coverage."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Save = Callable[..., Path]
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _importable_builders(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> None:
    """`tests/convert/builders.py` is `builders` for the process of a conversion, which gets this
    path and no environment. It is measured all the same."""
    start = tmp_path_factory.mktemp("start")
    if config := os.environ.get("COVERAGE_PROCESS_CONFIG"):
        (start / "sitecustomize.py").write_text(
            f"import os\nos.environ['COVERAGE_PROCESS_CONFIG'] = {config!r}\n"
            "import coverage\ncoverage.process_startup()\n"
        )
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.syspath_prepend(str(start))


def pipeline(tree: Any, text_labels: bool = False) -> Any:
    """A scaler and a tree, fitted to 300 rows of 3 features of different sizes."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    generator = np.random.default_rng(0)
    rows = generator.normal(size=(300, 3)) * [1, 100, 0.01]
    told = rows[:, 0] + rows[:, 1] / 100 > rows[:, 2] * 100
    if not hasattr(tree, "predict_proba"):
        return make_pipeline(StandardScaler(), tree).fit(rows, rows[:, 0] * told)
    return make_pipeline(StandardScaler(), tree).fit(
        rows, np.where(told, "ill", "well") if text_labels else told.astype(int)
    )


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """`save("a.joblib", model)` writes a model, locks the directory and returns it."""
    import joblib

    from loadonce import lock_directory

    def write(name: str, model: object, *, lock: bool = True, **options: Any) -> Path:
        joblib.dump(model, tmp_path / name)
        if lock:
            lock_directory(tmp_path, **options)
        return tmp_path

    return write
