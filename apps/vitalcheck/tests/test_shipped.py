"""The artifacts in the package, served: real rows get the pipelines' own answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from fastapi.testclient import TestClient

from vitalcheck.app import create_app
from vitalcheck.cards import ARTIFACTS
from vitalcheck.features import FEATURES
from vitalcheck.settings import Settings
from vitalcheck.training.data import READERS

SHIPPED = Settings.model_fields["models_dir"].default
DATA = Path(__file__).parents[4] / "shared" / "data"
RISKS = {
    "diabetes": "/api/v1/risk/diabetes",
    "heart": "/api/v1/risk/heart",
    "stroke": "/api/v1/risk/stroke",
    "breast_cancer": "/api/v1/risk/breast-cancer",
    "sleep": "/api/v1/sleep/assessment",
}
ROWS = 30

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the training data is not here")


@pytest.fixture(scope="module")
def shipped() -> Iterator[TestClient]:
    with TestClient(create_app()) as client:
        yield client


def real_rows(name: str) -> list[dict[str, Any]]:
    """Some rows of the training data, as a client would send them."""
    dataset = READERS[name](DATA)
    chosen = np.random.default_rng(1).choice(len(dataset), ROWS, replace=False)
    return [dict(dataset.features.decode(row)) for row in dataset.inputs[chosen]]


def load(name: str) -> Any:
    return joblib.load(SHIPPED / f"{name}.joblib")


def check_effects(client: TestClient, path: str, body: dict[str, Any], key: str) -> Any:
    reply = client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    data = reply.json()["data"]
    if len(data["contributors"]) < 5:
        total = sum(item["effect"] for item in data["contributors"])
        assert total == pytest.approx(data[key] - data["baseline"], abs=1e-9)
    return data


@needs_data
@pytest.mark.parametrize(("name", "path"), RISKS.items())
def test_real_rows_get_the_pipeline_s_own_probability(
    shipped: TestClient, name: str, path: str
) -> None:
    pipeline, table = load(name), FEATURES[name]
    for body in real_rows(name):
        data = check_effects(shipped, path, body, "probability")
        expected = pipeline.predict_proba(table.encode([body]))[0, 1]
        assert data["probability"] == pytest.approx(expected, abs=1e-9)


@needs_data
def test_real_countries_get_the_pipeline_s_own_years(shipped: TestClient) -> None:
    pipeline, table = load("life_expectancy"), FEATURES["life_expectancy"]
    for body in real_rows("life_expectancy"):
        data = check_effects(shipped, "/api/v1/longevity/life-expectancy", body, "years")
        assert data["years"] == pytest.approx(pipeline.predict(table.encode([body]))[0], abs=1e-9)
        low, high = data["interval"]
        assert 2 < high - low < 20


@needs_data
def test_real_people_get_the_pipeline_s_own_cost(shipped: TestClient) -> None:
    pipeline, table = load("insurance_mean"), FEATURES["insurance"]
    for body in real_rows("insurance"):
        data = check_effects(shipped, "/api/v1/insurance/cost", body, "expected_usd")
        expected = max(pipeline.predict(table.encode([body]))[0], 0)
        assert data["expected_usd"] == pytest.approx(expected, rel=1e-9)
        low, high = data["interval_usd"]
        assert 0 <= low <= expected <= high


@needs_data
def test_real_scans_are_mostly_recognised(shipped: TestClient) -> None:
    right = []
    for folder in ("glioma", "meningioma", "pituitary", "notumor"):
        label = folder.replace("notumor", "no_tumor")
        for file in sorted((DATA / "mri" / folder).glob("*.jpg"))[:8]:
            reply = shipped.post(
                "/api/v1/imaging/brain-tumor", files={"image": ("scan.jpg", file.read_bytes())}
            )
            right.append(reply.json()["data"]["label"] == label)
    assert np.mean(right) > 0.8


def test_the_baseline_is_the_card_s(shipped: TestClient) -> None:
    found = shipped.get("/api/v1/models").json()["data"]["models"]
    cards = {model["name"]: model["card"] for model in found}
    for name, path in RISKS.items():
        body = {**FEATURES[name].example}
        data = shipped.post(path, json=body).json()["data"]
        assert data["baseline"] == pytest.approx(cards[name]["baseline"], abs=1e-9)


def test_a_reference_row_has_no_contributors(shipped: TestClient) -> None:
    found = shipped.get("/api/v1/models").json()["data"]["models"]
    for model in found:
        if path := RISKS.get(model["name"]):
            data = shipped.post(path, json=model["card"]["reference"]).json()["data"]
            assert data["contributors"] == []
            assert data["probability"] == data["baseline"]


def test_every_artifact_is_ready_and_has_a_card(shipped: TestClient) -> None:
    found = shipped.get("/api/v1/models").json()["data"]["models"]
    assert [model["name"] for model in found] == list(ARTIFACTS)
    for model in found:
        assert model["state"] == "ready", model["name"]
        assert len(model["sha256"]) == 64
        assert model["card"]["name"] == model["name"]


def test_tables_answer_in_full(shipped: TestClient) -> None:
    data = shipped.get("/api/v1/hospital/analytics", params={"limit": 100}).json()["data"]
    assert len(data["departments"]) > 10
    assert len(data["conditions"]) > 5
    assert all(item["stays"] >= 11 for part in data.values() for item in part)
    example = FEATURES["fitbit_percentiles"].example
    found = shipped.post("/api/v1/fitness/percentiles", json=example).json()["data"]
    assert all(0 <= value <= 100 for value in found["percentiles"].values())
    assert found["reference"]["people"] >= 11


EXTREME = {**RISKS, "life_expectancy": "/api/v1/longevity/life-expectancy"} | {
    "insurance": "/api/v1/insurance/cost",
    "fitbit_percentiles": "/api/v1/fitness/percentiles",
}


@pytest.mark.parametrize(("name", "path"), EXTREME.items())
@pytest.mark.parametrize("end", ["low", "high"])
def test_values_at_their_bounds_are_answered(
    shipped: TestClient, name: str, path: str, end: str
) -> None:
    table = FEATURES[name]
    for item in table.features:
        unbounded = 1e308 if end == "high" else 0
        bound = getattr(item, end) if item.kind != "boolean" else end == "high"
        value = item.levels[-(end == "high")] if item.levels else bound
        body = {**table.example, item.name: unbounded if value is None else value}
        reply = shipped.post(path, json=body)
        assert reply.status_code == 200, (item.name, reply.text)
    needed = {item.name: item.example for item in table.features if not item.optional}
    if name != "fitbit_percentiles":
        assert shipped.post(path, json=needed).status_code == 200
