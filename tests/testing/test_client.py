"""An asynchronous client of an app that has started."""

# No `from __future__ import annotations`: FastAPI has to see the routes' local types.

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request

from loadonce import Handle, Model, Registry, StartupError, artifact
from loadonce.http import install
from loadonce.testing import running_client

pytestmark = pytest.mark.anyio


def make_app(models: Registry | None = None, **options: Any) -> FastAPI:
    app = FastAPI(**options)
    install(app, *([models] if models is not None else []))

    @app.get("/fail")
    async def fail() -> None:
        raise KeyError("x")

    @app.get("/state")
    async def state(request: Request) -> Any:
        return request.state.pool

    @app.get("/echo")
    async def echo(request: Request) -> list[str]:
        return [str(request.url), request.headers.get("x-key", "")]

    return app


async def test_models_are_loaded_while_it_is_open(locked: Callable[..., Path]) -> None:
    class Models(Registry):
        one: Model[bytes] = artifact("one.bin", loader=lambda source: bytes(source.data))

    models = Models(locked(one="1"))
    app = make_app(models, lifespan=models.lifespan)

    @app.get("/")
    async def get(model: Annotated[Handle[bytes], Depends(models.one)]) -> str:
        return model.value.decode()

    async with running_client(app) as client:
        assert (await client.get("/")).json() == "1"
    assert models.one.slot.manager is None


async def test_a_failed_start_is_raised(tmp_path: Path) -> None:
    class Models(Registry):
        one: Model[bytes] = artifact("one.bin")

    models = Models(tmp_path)
    with pytest.raises(StartupError, match="there is no lock file"):
        async with running_client(make_app(models, lifespan=models.lifespan)):
            pass


async def test_a_start_that_is_given_up_is_ended() -> None:
    ended = asyncio.Event()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            await asyncio.Event().wait()
            yield
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), running_client(make_app(lifespan=lifespan)):
            pass
    await asyncio.wait_for(ended.wait(), 1)


async def test_the_lifespan_ends_even_if_the_test_fails() -> None:
    ended = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        yield {"pool": [1]}
        ended.append(True)

    async def failing_test() -> None:
        async with running_client(make_app(lifespan=lifespan)) as client:
            assert (await client.get("/state")).json() == [1]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing_test()
    assert ended


async def test_failures_are_raised_or_answered() -> None:
    async with running_client(make_app()) as client:
        with pytest.raises(KeyError):
            await client.get("/fail")
    async with running_client(make_app(), raise_app_exceptions=False) as client:
        response = await client.get("/fail")
        assert response.status_code == 500
        assert response.headers["content-type"] == "application/problem+json"


async def test_the_client_can_be_set_up() -> None:
    async with running_client(
        make_app(), base_url="https://example.org/", headers={"x-key": "k"}
    ) as client:
        assert (await client.get("/echo")).json() == ["https://example.org/echo", "k"]


async def test_an_app_without_a_lifespan_is_served_too() -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async with running_client(app) as client:
        assert (await client.get("/")).status_code == 204
