"""What is served answers as the pipelines did, and needs none of their libraries."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from vitalcheck.features import FEATURES, Feature, FloatArray
from vitalcheck.models import Models
from vitalcheck.settings import Settings
from vitalcheck.training.plan import JOBS, PIPELINE

SHIPPED: Path = Settings.model_fields["models_dir"].default
FILES = {
    file.removesuffix(PIPELINE): name
    for name, job in JOBS.items()
    for file in job.files
    if file.endswith(PIPELINE)
}
ROWS = 1000


@pytest.fixture(scope="module")
def served() -> Iterator[dict[str, Any]]:
    """The objects that the app asks, by their file's name."""
    with Models(root=SHIPPED).loaded() as models:
        objects = {name: models[name].run(lambda model: model) for name in set(FILES.values())}
        insurance = objects.pop("insurance")
        yield {**objects, **{f"insurance_{part}": each for part, each in insurance.items()}}


def made_up_rows(name: str) -> FloatArray:
    """Rows that the schema lets through: anywhere within the bounds, on them, or missing."""
    random = np.random.default_rng(7)
    columns = [_column(item, random) for item in FEATURES[name].features]
    return np.column_stack(columns)


def _column(item: Feature, random: np.random.Generator) -> FloatArray:
    if item.kind in ("number", "integer"):
        low, high = item.low or 0.0, 1e9 if item.high is None else item.high
        found = random.uniform(low, high, ROWS)
        found[: ROWS // 20], found[ROWS // 20 : ROWS // 10] = low, high
        found = np.rint(found) if item.kind == "integer" else found
    else:
        found = random.integers(0, len(item.levels) or 2, ROWS).astype(np.float64)
    if item.optional:
        found[random.random(ROWS) < 0.2] = np.nan
    return np.asarray(random.permutation(found), dtype=np.float64)


@pytest.mark.parametrize(("file", "name"), FILES.items())
def test_a_thousand_rows_are_answered_as_by_the_pipeline(
    served: dict[str, Any], file: str, name: str
) -> None:
    pipeline, model = joblib.load(SHIPPED / f"{file}.joblib"), served[file]
    rows = made_up_rows(name)
    if hasattr(pipeline, "predict_proba"):
        expected, found = pipeline.predict_proba(rows), model.predict_proba(rows)
        assert model.predict(rows).tolist() == pipeline.predict(rows).tolist()
        assert model.classes_.tolist() == pipeline.classes_.tolist()
    else:
        expected, found = pipeline.predict(rows), model.predict(rows)
    assert found.shape == expected.shape
    assert (np.abs(found - expected) <= 2e-6 * np.maximum(1, np.abs(expected))).all()
    assert np.ptp(expected) > 0.1  # there is something to tell apart
    one_by_one = [model.predict(row[None])[0] for row in rows[:20]]
    np.testing.assert_allclose(one_by_one, model.predict(rows[:20]), rtol=1e-12)


@pytest.mark.parametrize("name", sorted(set(FILES.values())))
def test_the_card_tells_what_is_served(name: str) -> None:
    """Which file, from which, compared on how many rows; as it is locked and shipped."""
    card = json.loads((SHIPPED / "cards" / f"{name}.json").read_text())
    lock = tomllib.loads((SHIPPED / "models.lock").read_text())["artifacts"]
    sources = {each["path"]: each for each in card["files"]}
    assert [each["source"] for each in card["served"]] == list(sources)
    for each in card["served"]:
        entry, source = lock[each["path"]], lock[each["source"]]
        assert (entry["size"], entry["sha256"]) == (each["bytes"], each["sha256"])
        assert entry["format"] == each["format"] == "predictor"
        assert entry["golden"] == source["golden"]
        assert each["source_sha256"] == sources[each["source"]]["sha256"] == source["sha256"]
        assert each["rows_compared"] >= 1000
        assert each["largest_difference"] <= 2e-6
    total = sum(each["rows_compared"] for each in card["served"])
    assert f"on {total} rows their answers" in card["serving"]


_START = """
import sys
from fastapi.testclient import TestClient
from vitalcheck.app import create_app

with TestClient(create_app()) as client:
    assert client.get("/readyz").json()["status"] == "ok"
    early = set(sys.modules)
    body = {body}
    assert client.post("/api/v1/risk/heart", json=body).status_code == 200
    assert client.post("/api/v1/insurance/cost", json={cost}).status_code == 200
for name in sys.argv[1:]:
    print(name, name in early, name in sys.modules)
"""


def test_the_app_starts_and_answers_without_the_libraries_of_training() -> None:
    """Nor is Pillow imported before the first picture. The control: numpy is seen."""
    unwanted = ["sklearn", "scipy", "pandas", "joblib", "torch", "onnx", "PIL"]
    unwanted += ["pyarrow.compute", "rich", "typer"]
    code = _START.replace("{body}", repr(FEATURES["heart"].example)).replace(
        "{cost}", repr(FEATURES["insurance"].example)
    )
    command = [sys.executable, "-c", code, *unwanted, "numpy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    expected = [f"{name} False False" for name in unwanted]
    assert done.stdout.splitlines() == [*expected, "numpy True True"]


_SERVED = """
import asyncio, json, sys
from contextlib import asynccontextmanager
from vitalcheck.app import create_app

def tell():
    print(json.dumps(sorted(sys.modules)), flush=True)

def create():
    app = create_app()
    start = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app):
        async with start(app) as state:
            asyncio.get_running_loop().call_later(0.1, tell)
            yield state

    app.router.lifespan_context = lifespan
    return app
"""


def test_a_server_imports_no_more_than_serving_takes(tmp_path: Path) -> None:
    """As `scripts/serve` starts it, all models loaded. The control: what it needs is seen."""
    (tmp_path / "served.py").write_text(_SERVED)
    command = [sys.executable, "-c", "from loadonce.cli import main; main()"]
    command += ["serve", "served:create", "--factory", "--port", "0", "--drain-delay", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        assert server.stdout is not None
        imported = set(json.loads(server.stdout.readline()))  # of the worker, while it serves
        server.terminate()
        assert server.wait(30) == 0
    training = {"sklearn", "scipy", "pandas", "joblib", "torch", "onnx", "skl2onnx"}
    tools = {"httpx", "rich", "prometheus_client"}
    late = {"PIL", "pyarrow.compute", "loadonce.convert", "loadonce.testing", "vitalcheck.training"}
    assert imported & (training | tools | late) == set()
    assert {"onnxruntime", "pyarrow.parquet", "uvicorn", "typer"} <= imported
