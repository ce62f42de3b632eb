"""Which directory holds what, and what happens when something is missing there."""

import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from loadonce import StartupError, lock_directory
from vitalcheck.app import create_app
from vitalcheck.features import FEATURES
from vitalcheck.settings import Settings

SHIPPED = Settings.model_fields["models_dir"].default
TABLES = tuple(
    f"{name}.parquet"
    for name in ("fitbit_percentiles", "hospital_departments", "hospital_conditions")
)


def copy_of(directory: Path, *left_out: str) -> Path:
    shutil.copytree(SHIPPED, directory)
    for name in left_out:
        (directory / name).unlink()
    return directory


def test_without_an_optional_model_the_others_serve(tmp_path: Path) -> None:
    settings = Settings(models_dir=copy_of(tmp_path / "m", "brain_tumor.onnx", TABLES[0]))
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        refused = [
            client.post("/api/v1/imaging/brain-tumor", files={"image": ("a.png", b"a")}),
            client.post("/api/v1/fitness/percentiles", json={"steps": 1}),
        ]
        for reply in refused:
            assert reply.status_code == 503
            assert reply.headers["Content-Type"].startswith("application/problem+json")
            assert reply.json()["request_id"] == reply.headers["X-Request-ID"]
        body = {**FEATURES["diabetes"].example}
        assert client.post("/api/v1/risk/diabetes", json=body).status_code == 200
        ready = client.get("/readyz")
        assert ready.status_code == 200
        assert "degraded" in ready.text
        found = client.get("/api/v1/models").json()["data"]["models"]
        states = {model["name"]: model["state"] for model in found}
        assert states["brain_tumor"] == states["fitbit_percentiles"] == "failed"
        assert states["heart"] == "ready"


def test_without_a_required_model_the_app_does_not_start(tmp_path: Path) -> None:
    settings = Settings(
        models_dir=copy_of(tmp_path / "m", "diabetes.predictor.onnx", "heart.predictor.onnx")
    )
    with pytest.raises(StartupError) as caught, TestClient(create_app(settings)):
        pass
    assert len(caught.value.failures) == 2
    assert "diabetes.predictor.onnx" in str(caught.value)


def test_tables_may_lie_elsewhere(tmp_path: Path) -> None:
    models_dir = copy_of(tmp_path / "m", *TABLES)
    reference_dir = tmp_path / "tables"
    reference_dir.mkdir()
    for name in TABLES:
        shutil.copy(SHIPPED / name, reference_dir)
    lock_directory(reference_dir)
    settings = Settings(models_dir=models_dir, reference_dir=reference_dir)
    with TestClient(create_app(settings)) as client:
        assert client.get("/api/v1/hospital/analytics").status_code == 200
        assert client.post("/api/v1/fitness/percentiles", json={"steps": 1}).status_code == 200
