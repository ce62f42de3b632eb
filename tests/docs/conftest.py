"""What the documentation's snippets find in their working directory: a few locked models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from loadonce import lock_directory


def train_iris(directory: Path) -> None:
    import joblib
    import pyarrow as pa
    import pyarrow.parquet as pq
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression, QuantileRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    iris = load_iris()
    petals, names = iris.data[:, 2:], iris.target_names[iris.target]
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    joblib.dump(pipeline.fit(petals, names), directory / "iris.joblib")
    for name, quantile in (("low", 0.05), ("middle", 0.5), ("high", 0.95)):
        regressor = QuantileRegressor(quantile=quantile, alpha=0.0)
        regressor.fit(petals[:, :1], petals[:, 1])
        joblib.dump(regressor, directory / f"width_{name}.joblib")
    means = {str(name): petals[names == name].mean(axis=0) for name in iris.target_names}
    columns = {
        "species": list(means),
        "petal_length": [float(mean[0]) for mean in means.values()],
        "petal_width": [float(mean[1]) for mean in means.values()],
    }
    pq.write_table(pa.table(columns), directory / "species.parquet")
    (directory / "labels.json").write_text(json.dumps({"labels": list(means)}))
    (directory / "words.txt").write_text("once upon a time\n")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of models, locked."""
    directory = tmp_path_factory.mktemp("docs") / "models"
    directory.mkdir()
    train_iris(directory)
    lock_directory(directory)
    return directory


@pytest.fixture
def workplace(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of one page: `models/` lies in it."""
    shutil.copytree(trained, tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path
