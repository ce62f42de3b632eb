"""A model that loads behind a serving app: honest answers before, during and after."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient

from .conftest import Example

SETOSA = {"petal_length": 1.4, "petal_width": 0.2}


def ask(client: TestClient) -> Any:
    return client.post("/species", params=SETOSA)


def wait_for(client: TestClient, status: int, seconds: float) -> Any:
    """The first answer with this status code."""
    end = time.monotonic() + seconds
    while (answer := ask(client)).status_code != status:
        assert time.monotonic() < end, answer.text
        time.sleep(0.05)
    return answer


def test_503_while_it_loads_then_answers(example: Callable[[str], Example]) -> None:
    background = example("background_loading")
    background.make_model()
    app = background.module()
    app.REHEARSAL_SECONDS = 0.5
    with TestClient(app.app) as client:
        early = ask(client)
        assert early.status_code == 503
        assert early.headers["content-type"] == "application/problem+json"
        assert int(early.headers["retry-after"]) >= 1
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 503
        assert client.get("/status").json()[0]["state"] == "loading"
        assert wait_for(client, 200, 15).json() == "setosa"
        assert client.get("/readyz").status_code == 200


def test_a_missing_file_is_told_and_retried(example: Callable[[str], Example]) -> None:
    """It starts without the file; once the file is there, and locked, it is loaded."""
    background = example("background_loading")
    (background.directory / "models").mkdir()
    app = background.module()
    app.REHEARSAL_SECONDS = 0.0
    with TestClient(app.app) as client:
        assert wait_for(client, 503, 1).headers["retry-after"]
        end = time.monotonic() + 5
        while client.get("/status").json()[0]["state"] != "failed":
            assert time.monotonic() < end
        assert "lock file" in client.get("/status").json()[0]["error"]
        background.make_model()
        assert wait_for(client, 200, 15).json() == "setosa"


def test_an_unreadable_file_is_told(example: Callable[[str], Example]) -> None:
    background = example("background_loading")
    background.make_model()
    (background.directory / "models/iris.joblib").write_bytes(b"half a mod")
    with TestClient(background.module().app) as client:
        end = time.monotonic() + 5
        while not (error := client.get("/status").json()[0]["error"]):
            assert time.monotonic() < end
        assert "differs from models.lock" in error
        assert ask(client).status_code == 503


def test_the_tutorials_way_answers_the_same_once_loaded(
    example: Callable[[str], Example],
) -> None:
    background = example("background_loading")
    background.make_model()
    with TestClient(background.module("before").app) as client:
        assert wait_for(client, 200, 15).json() == "setosa"
