"""A required and an optional model, overridden in tests, closed at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pytest
from fastapi.testclient import TestClient

from loadonce import StartupError

from .conftest import Example

WINE = {"alcohol": 13.7, "proline": 1280.0}
PERSON = {"age": 50.0, "bmi": 26.0}


class Constant:
    """A stub of a regressor."""

    def predict(self, rows: Sequence[object], /) -> list[float]:
        return [42.0 for _ in rows]


def test_both_models_answer_and_are_closed_in_reverse_order(
    example: Callable[[str], Example], caplog: pytest.LogCaptureFixture
) -> None:
    registry = example("registry")
    registry.make_model()
    app = registry.module()
    caplog.set_level(logging.INFO)
    with TestClient(app.app) as client:
        answer = client.post("/cultivar", params=WINE).json()
        assert answer["cultivar"] == "class_0"
        assert answer["version"] == app.models.cultivar.status().version
        assert 100 < client.post("/progression", params=PERSON).json() < 250
    closed = [record.getMessage() for record in caplog.records if record.name == "app"]
    assert sorted(closed) == ["closing RandomForestClassifier", "closing Ridge"]


def test_without_the_optional_model_the_rest_serves(example: Callable[[str], Example]) -> None:
    registry = example("registry")
    registry.make_model("--only-required")
    with TestClient(registry.module().app) as client:
        refused = client.post("/progression", params=PERSON)
        assert refused.status_code == 503
        assert refused.json()["model"] == "progression"
        assert client.post("/cultivar", params=WINE).status_code == 200
        assert client.get("/readyz").json()["status"] == "degraded"


def test_without_the_required_model_nothing_starts(example: Callable[[str], Example]) -> None:
    registry = example("registry")
    registry.make_model()
    (registry.directory / "models/cultivar.joblib").unlink()
    with pytest.raises(StartupError, match="cultivar"), TestClient(registry.module().app):
        pass


def test_a_test_override_opens_no_file(example: Callable[[str], Example]) -> None:
    registry = example("registry")
    registry.make_model("--only-required")
    app = registry.module()
    with app.models.progression.override(Constant()), TestClient(app.app) as client:
        assert client.post("/progression", params=PERSON).json() == 42.0


def test_the_tutorials_way_gives_the_same_answers(example: Callable[[str], Example]) -> None:
    registry = example("registry")
    registry.make_model()
    after, before = registry.module(), registry.module("before")
    with TestClient(before.app) as old, TestClient(after.app) as new:
        assert (
            old.post("/cultivar", params=WINE).json()
            == new.post("/cultivar", params=WINE).json()["cultivar"]
        )
        for person in (PERSON, {"age": 30.0, "bmi": 20.0}):
            answers = [client.post("/progression", params=person).json() for client in (old, new)]
            assert answers[0] == answers[1]
