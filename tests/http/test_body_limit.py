"""FastAPI's own limit of a body, as docs/how-to/run.md shows it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from loadonce import Registry
from loadonce.http import install

pytestmark = pytest.mark.skipif(
    "max_body_size" not in inspect.signature(FastAPI).parameters, reason="an older FastAPI"
)


class Row(BaseModel):
    length: float


class Models(Registry):
    pass


def pieces(count: int) -> Iterator[bytes]:
    """A body whose length nobody tells."""
    yield b"[" + b'{"length": 1},' * count
    yield b'{"length": 1}]'


def test_what_is_larger_is_refused_with_413_and_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    models = Models()
    limited: dict[str, Any] = {"max_body_size": 1_000}
    app = FastAPI(lifespan=models.lifespan, **limited)
    install(app, models)

    @app.post("/count")
    async def count(rows: list[Row]) -> int:
        return len(rows)

    with TestClient(app, headers={"content-type": "application/json"}) as client:
        assert client.post("/count", json=[{"length": 1}] * 2).json() == 2
        assert client.post("/count", json=[{"length": 1}] * 100).status_code == 413
        assert client.post("/count", content=pieces(10)).json() == 11
        assert client.post("/count", content=pieces(100)).status_code == 413
        assert client.post("/count", json=[]).json() == 0
    assert "request failed" not in caplog.text
