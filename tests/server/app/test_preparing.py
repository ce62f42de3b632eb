"""What is done before the fork need not be done after it."""

from __future__ import annotations

import fastapi.routing
import pytest
from fastapi import FastAPI

from loadonce.server.app.preparing import prepare
from loadonce.server.options import ServeOptions


@pytest.mark.parametrize("workers", [1, 2])
def test_handlers_are_described_before_several_workers_are_asked_for_them(workers: int) -> None:
    """By FastAPI's own function: this fails first if it is renamed. One worker saves the time."""
    app = FastAPI()

    @app.get("/")
    async def described() -> None: ...

    cache = fastapi.routing._endpoint_context_cache
    cache.clear()
    config = prepare(ServeOptions(target="main:app", workers=workers), app)
    assert config.loaded
    found = cache.get(id(described))
    assert (found is not None and found["function"] == "described") is (workers > 1)


def test_what_fastapi_may_not_have_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()

    @app.get("/")
    async def described() -> None: ...

    monkeypatch.delattr(fastapi.routing, "_extract_endpoint_context")
    assert prepare(ServeOptions(target="main:app", workers=2), app).loaded


def test_any_asgi_app_can_be_prepared() -> None:
    async def app(scope: object, receive: object, send: object) -> None: ...

    assert prepare(ServeOptions(target="main:app", workers=2), app).loaded
