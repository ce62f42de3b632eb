"""Every route of the contract, with small known models behind it."""

import asyncio
import threading
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from vitalcheck.answers import DISCLAIMER
from vitalcheck.cards import ARTIFACTS
from vitalcheck.features import FEATURES, FloatArray
from vitalcheck.models import Models

RISKS = {
    "/api/v1/risk/diabetes": "diabetes",
    "/api/v1/risk/heart": "heart",
    "/api/v1/risk/stroke": "stroke",
    "/api/v1/risk/breast-cancer": "breast_cancer",
    "/api/v1/sleep/assessment": "sleep",
}
POSTED = [
    *RISKS,
    "/api/v1/risk/comprehensive",
    "/api/v1/longevity/life-expectancy",
    "/api/v1/insurance/cost",
    "/api/v1/fitness/percentiles",
    "/api/v1/imaging/brain-tumor",
]
READ = ["/api/v1/hospital/analytics", "/api/v1/models"]
Bodies = dict[str, Any]


def data_of(reply: httpx2.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    data: dict[str, Any] = reply.json()["data"]
    return data


def check_explanation(data: dict[str, Any], prediction: float, body: dict[str, Any]) -> None:
    """The five largest effects of the values as sent; their sum is bounded by the whole change."""
    effects = [item["effect"] for item in data["contributors"]]
    assert 0 < len(effects) <= 5
    assert [abs(effect) for effect in effects] == sorted(map(abs, effects), reverse=True)
    for item in data["contributors"]:
        assert item["value"] == body[item["feature"]]
    assert isinstance(data["baseline"], float)
    if len(effects) < 5:
        assert sum(effects) == pytest.approx(prediction - data["baseline"], abs=1e-9)


@pytest.mark.parametrize("path", [*POSTED, *READ])
def test_every_answer_comes_in_the_envelope(client: TestClient, bodies: Bodies, path: str) -> None:
    headers = {"X-Request-ID": "visit-42"}
    reply = (
        client.post(path, json=bodies[path], headers=headers)
        if path in bodies
        else client.get(path, headers=headers)
    )
    body = reply.json()
    assert reply.status_code == 200, body
    assert set(body) == {"data", "model", "inference_ms", "request_id", "disclaimer"}
    assert body["request_id"] == reply.headers["X-Request-ID"] == "visit-42"
    assert body["disclaimer"] == DISCLAIMER
    assert body["inference_ms"] >= 0
    assert reply.headers["Cache-Control"] == "no-store"
    models = body["model"] if isinstance(body["model"], list) else [body["model"]]
    assert all(set(model) == {"name", "version", "sha256"} for model in models)


@pytest.mark.parametrize(("path", "name"), RISKS.items())
def test_a_risk_states_level_reasons_and_advice(
    client: TestClient, bodies: Bodies, path: str, name: str
) -> None:
    reply = client.post(path, json=bodies[path])
    data = data_of(reply)
    assert reply.json()["model"]["name"] == name
    assert 0 <= data["probability"] <= 1
    bounds = {"low": (0, 0.1), "moderate": (0.1, 0.3), "high": (0.3, 0.6), "critical": (0.6, 1.01)}
    low, high = bounds[data["risk_level"]]
    assert low <= data["probability"] < high
    assert data["recommendations"]
    check_explanation(data, data["probability"], bodies[path])


@pytest.mark.parametrize("path", [path for path in POSTED if "fitness" not in path][:-1])
def test_reasons_can_be_left_out(client: TestClient, bodies: Bodies, path: str) -> None:
    full = data_of(client.post(path, json=bodies[path]))
    bare = data_of(client.post(path, params={"explain": "false"}, json=bodies[path]))
    for profile in bare.get("profile", {"": bare}).values():
        assert not {"contributors", "baseline"} & set(profile)
    if "profile" not in full:
        assert set(full) - set(bare) == {"contributors", "baseline"}


@pytest.mark.parametrize(("path", "name"), RISKS.items())
def test_the_probability_is_the_model_s_own(
    client: TestClient, registry: Models, bodies: Bodies, path: str, name: str
) -> None:
    class Given:
        """The probability is a known function of the encoded row."""

        def predict_proba(self, rows: FloatArray, /) -> FloatArray:
            second = np.abs(np.sin(rows.sum(axis=1)))
            return np.column_stack([1 - second, second])

        def predict(self, rows: FloatArray, /) -> FloatArray:
            return np.zeros(len(rows))

    with registry[name].override(Given()):
        found = data_of(client.post(path, json=bodies[path]))["probability"]
    encoded = FEATURES[name].encode([bodies[path]])
    assert found == pytest.approx(Given().predict_proba(encoded)[0, 1], abs=1e-12)


def test_null_and_absent_are_the_same(client: TestClient, bodies: Bodies) -> None:
    path = "/api/v1/risk/diabetes"
    with_null = {**bodies[path], "insulin": None, "glucose": None}
    absent = {k: v for k, v in with_null.items() if v is not None}
    assert data_of(client.post(path, json=with_null)) == data_of(client.post(path, json=absent))


def test_an_unknown_value_can_be_a_contributor(client: TestClient, bodies: Bodies) -> None:
    path = "/api/v1/risk/diabetes"
    data = data_of(client.post(path, json={**bodies[path], "insulin": None}))
    assert {"insulin": None}.items() <= {
        c["feature"]: c["value"] for c in data["contributors"]
    }.items()


def test_several_risks_at_once_equal_each_alone(client: TestClient, bodies: Bodies) -> None:
    path = "/api/v1/risk/comprehensive"
    reply = client.post(path, json=bodies[path])
    data = data_of(reply)
    levels = ["low", "moderate", "high", "critical"]
    for name, profile in data["profile"].items():
        alone = data_of(client.post(f"/api/v1/risk/{name}", json=bodies[path][name]))
        assert profile.pop("inference_ms") >= 0
        assert profile == alone
    assert data["overall"] == max(
        (p["risk_level"] for p in data["profile"].values()), key=levels.index
    )
    assert [model["name"] for model in reply.json()["model"]] == ["diabetes", "heart", "stroke"]


def test_only_the_risks_asked_for_are_answered(client: TestClient, bodies: Bodies) -> None:
    body = {"stroke": bodies["/api/v1/risk/stroke"], "heart": None}
    reply = client.post("/api/v1/risk/comprehensive", json=body)
    assert list(data_of(reply)["profile"]) == ["stroke"]
    assert [model["name"] for model in reply.json()["model"]] == ["stroke"]


def test_several_risks_run_at_the_same_time(
    client: TestClient, registry: Models, bodies: Bodies
) -> None:
    meeting = threading.Barrier(3, timeout=10)

    class Waits:
        """Answers only once all three models are running."""

        def predict_proba(self, rows: FloatArray, /) -> FloatArray:
            meeting.wait()
            return np.full((len(rows), 2), 0.5)

        def predict(self, rows: FloatArray, /) -> FloatArray:
            return np.zeros(len(rows))

    path = "/api/v1/risk/comprehensive"
    with (
        registry.diabetes.override(Waits()),
        registry.heart.override(Waits()),
        registry.stroke.override(Waits()),
    ):
        reply = client.post(path, params={"explain": "false"}, json=bodies[path])
    assert set(data_of(reply)["profile"]) == {"diabetes", "heart", "stroke"}


def test_a_model_that_breaks_answers_500_without_details(
    client: TestClient, registry: Models, bodies: Bodies
) -> None:
    class Broken:
        def predict_proba(self, rows: FloatArray, /) -> FloatArray:
            raise ValueError("a-secret-canary")

        predict = predict_proba

    with registry.heart.override(Broken()):
        for path in ("/api/v1/risk/heart", "/api/v1/risk/comprehensive"):
            reply = client.post(path, json=bodies[path])
            assert reply.status_code == 500
            assert "a-secret-canary" not in reply.text
            assert reply.json()["request_id"]


def test_sleep_adds_a_lifestyle_score(client: TestClient, bodies: Bodies) -> None:
    path = "/api/v1/sleep/assessment"
    assert 0 <= data_of(client.post(path, json=bodies[path]))["lifestyle_score"] <= 100


def test_life_expectancy_has_an_interval_around_it(client: TestClient, bodies: Bodies) -> None:
    path = "/api/v1/longevity/life-expectancy"
    data = data_of(client.post(path, json=bodies[path]))
    low, high = data["interval"]
    assert low <= data["years"] <= high
    check_explanation(data, data["years"], bodies[path])


def test_cost_has_an_interval_around_it(client: TestClient, bodies: Bodies) -> None:
    path = "/api/v1/insurance/cost"
    data = data_of(client.post(path, json=bodies[path]))
    low, high = data["interval_usd"]
    assert 0 <= low <= data["expected_usd"] <= high
    assert data["coverage"] == 0.90
    check_explanation(data, data["expected_usd"], bodies[path])


def test_percentiles_state_whose_days_they_compare_with(client: TestClient) -> None:
    path = "/api/v1/fitness/percentiles"
    data = data_of(client.post(path, json={"sex": "female", "age": 25, "steps": 2500}))
    assert data["percentiles"] == {"steps": 50}
    assert data["reference"] == {"group": "female, age <30", "days": 40, "people": 12}
    wider = data_of(client.post(path, json={"sex": "female", "age": 25, "calories": 2500}))
    assert wider["percentiles"] == {"calories": 25}
    assert wider["reference"]["group"] == "female"
    assert data_of(client.post(path, json={"steps": 0}))["reference"]["group"] == "all"


def test_hospital_stays_come_whole_or_by_name(client: TestClient) -> None:
    path = "/api/v1/hospital/analytics"
    data = data_of(client.get(path))
    assert data["departments"][0]["department"] == "Cardiology"
    assert set(data["departments"][0]) == {
        "department", "stays", "mean_days", "median_days", "p90_days", "readmitted_30d",
    }  # fmt: skip
    assert set(data["conditions"][0]) == {"condition", "stays", "mean_cost_usd", "mean_days"}
    some = data_of(client.get(path, params={"department": " cardio ", "condition": "HEART"}))
    assert [d["department"] for d in some["departments"]] == ["Cardiology"]
    assert len(some["conditions"]) == 1
    none = data_of(client.get(path, params={"department": "no such", "condition": "no such"}))
    assert none == {"departments": [], "conditions": []}
    assert len(data_of(client.get(path, params={"limit": 1}))["departments"]) == 1


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "many", "1.5", "NaN", ""])
def test_a_limit_outside_its_range_is_refused(client: TestClient, limit: str) -> None:
    assert client.get("/api/v1/hospital/analytics", params={"limit": limit}).status_code == 422


def test_models_lists_every_artifact_with_its_card(client: TestClient) -> None:
    found = data_of(client.get("/api/v1/models"))["models"]
    assert [model["name"] for model in found] == list(ARTIFACTS)
    for model in found:
        assert {"kind", "version", "sha256", "state", "load_seconds", "bytes_in_memory"} < set(
            model
        )
        assert model["state"] == "ready"
        assert model["card"]["name"] == model["name"]


def test_concurrent_requests_share_model_calls(
    app: FastAPI, client: TestClient, registry: Models, bodies: Bodies
) -> None:
    path = "/api/v1/risk/diabetes"
    calls: list[int] = []

    class Counting:
        def predict_proba(self, rows: FloatArray, /) -> FloatArray:
            calls.append(len(rows))
            return np.full((len(rows), 2), 0.5)

        def predict(self, rows: FloatArray, /) -> FloatArray:
            return np.zeros(len(rows))

    async def sixteen() -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as many:
            return await asyncio.gather(*(many.post(path, json=bodies[path]) for _ in range(16)))

    portal = client.portal
    assert portal is not None
    with registry.diabetes.override(Counting()):
        replies = portal.call(sixteen)
    assert {reply.status_code for reply in replies} == {200}
    assert len({str(reply.json()["data"]) for reply in replies}) == 1
    assert len(calls) < 16
    assert sum(calls) >= 16
