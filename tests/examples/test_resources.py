"""A pool, a client and what is made from both, opened and closed with the models."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient

from .conftest import Example

SETOSA = {"petal_length": 1.4, "petal_width": 0.2}


@pytest.fixture
def resources(
    example: Callable[[str], Example], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Example:
    monkeypatch.setenv("DATABASE", str(tmp_path / "predictions.sqlite"))
    made = example("resources")
    made.make_model()
    return made


def test_predictions_are_counted_in_the_database(resources: Example) -> None:
    with TestClient(resources.module().app) as client:
        for _ in range(10):
            assert client.post("/species", params=SETOSA).json() == "setosa"
        assert client.get("/counts").json() == {"setosa": 10}


def test_what_is_made_from_a_client_gets_its_override(resources: Example) -> None:
    """The web is asked once for a fact; then the database knows it."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(200, text="bristly")

    app = resources.module()
    fake = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://facts")
    with app.models.client.override(fake), TestClient(app.app) as client:
        for _ in range(3):
            assert client.get("/facts/setosa").json() == "bristly"
    assert asked == ["/setosa"]


def test_a_server_of_facts_that_does_not_answer_is_a_problem(resources: Example) -> None:
    with TestClient(resources.module().app) as client:
        answer = client.get("/facts/setosa")
        assert answer.status_code == 502
        assert answer.headers["content-type"] == "application/problem+json"


def test_all_is_closed_at_the_end(resources: Example) -> None:
    app = resources.module()
    with TestClient(app.app):
        client, pool = (model.slot.current.value for model in (app.models.client, app.models.pool))
    assert client.is_closed
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        pool._free.get_nowait().execute("select 1")
