"""What is done before the fork need not be done after it."""

from __future__ import annotations

import fastapi.routing
import pytest
from fastapi import FastAPI

from loadonce.server.options import ServeOptions
from loadonce.server.preparing import prepare


def test_handlers_are_described_before_they_are_asked_for() -> None:
    """By FastAPI's own function: this fails first if it is renamed."""
    app = FastAPI()

    @app.get("/")
    async def described() -> None: ...

    config = prepare(ServeOptions(target="main:app"), app)
    assert config.loaded
    cache = fastapi.routing._endpoint_context_cache
    assert cache[id(described)]["function"] == "described"


def test_what_fastapi_may_not_have_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fastapi.routing, "_extract_endpoint_context")
    assert prepare(ServeOptions(target="main:app"), FastAPI()).loaded


def test_any_asgi_app_can_be_prepared() -> None:
    async def app(scope: object, receive: object, send: object) -> None: ...

    assert prepare(ServeOptions(target="main:app"), app).loaded
