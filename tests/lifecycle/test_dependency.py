"""A model as a FastAPI dependency: what FastAPI is told of it, and where its lease ends."""

# No `from __future__ import annotations`: FastAPI has to see the routes' local types.

import inspect
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import anyio
import pytest
from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import HTTPConnection, Request

from loadonce import ConfigurationError, Handle, Model, Registry, Source, artifact
from loadonce.http import install
from loadonce.lifecycle.dependency import EXIT_STACK, Connection
from loadonce.testing import running_client

pytestmark = pytest.mark.anyio


def text(source: Source) -> str:
    return bytes(source.data).decode()


class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text)


@pytest.fixture
def models(locked: Callable[..., Path]) -> Models:
    return Models(locked(a="A"))


def leases(models: Models) -> int:
    return models.a.status().leases


def test_its_only_parameter_is_the_connection(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dependency in (models.a, models.a.raw):
        [parameter] = inspect.signature(dependency).parameters.values()
        assert parameter.annotation is HTTPConnection
    assert "declaration" in inspect.signature(Model).parameters
    monkeypatch.delitem(sys.modules, "starlette.requests")
    [parameter] = inspect.signature(models.a).parameters.values()
    assert parameter.annotation is Connection


def test_fastapi_keeps_its_exit_stack_where_we_look(models: Models) -> None:
    """If this fails, FastAPI has renamed it: see lifecycle/dependency.py."""
    app = FastAPI()

    @app.get("/")
    async def get(request: Request) -> bool:
        return isinstance(request.scope[EXIT_STACK], AsyncExitStack)

    with TestClient(app) as client:
        assert client.get("/").json() is True


@pytest.mark.parametrize("which", ["handle", "raw"])
async def test_outside_a_route_it_says_what_to_do_instead(models: Models, which: str) -> None:
    dependency: Any = models.a if which == "handle" else models.a.raw
    async with models.running():
        with pytest.raises(ConfigurationError, match=r"models\.x\.lease\(\)"):
            await dependency(SimpleNamespace(scope={}))
        assert leases(models) == 0


def app_with(models: Models) -> tuple[FastAPI, list[int]]:
    """An app of which every route notes how many leases there are while it runs."""
    app, seen = FastAPI(lifespan=models.lifespan), list[int]()
    A = Annotated[Handle[str], Depends(models.a)]

    async def below(model: A) -> AsyncIterator[str]:
        yield model.value
        seen.append(leases(models))  # a dependency that yields is left before the lease ends

    @app.get("/plain")
    async def plain(model: A, value: Annotated[str, Depends(below)]) -> str:
        seen.append(leases(models))
        return value

    @app.get("/def")
    def synchronous(value: Annotated[str, Depends(models.a.raw)]) -> str:
        seen.append(leases(models))
        return value

    @app.get("/raises")
    async def raises(model: A) -> str:
        seen.append(leases(models))
        raise KeyError("no")

    @app.get("/invalid")
    async def invalid(model: A, number: int) -> str:
        return "never called"

    @app.get("/breaks")
    async def breaks(model: A) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            yield "one"
            seen.append(leases(models))
            raise KeyError("no")

        return StreamingResponse(parts())

    @app.websocket("/ws")
    async def ws(socket: WebSocket, model: A) -> None:
        await socket.accept()
        seen.append(leases(models))
        with pytest.raises(WebSocketDisconnect):
            await socket.receive_text()
        seen.append(leases(models))

    return app, seen


@pytest.mark.parametrize("wrapped", ["bare", "mounted", "middleware"])
@pytest.mark.parametrize(
    ("path", "status", "noted"),
    [
        ("/plain", 200, [1, 1]),
        ("/def", 200, [1]),
        ("/raises", 500, [1]),
        ("/invalid", 422, []),
        ("/breaks", 200, [1]),
    ],
)
def test_the_lease_lasts_until_the_response_has_been_sent(
    models: Models, wrapped: str, path: str, status: int, noted: list[int]
) -> None:
    app, seen = app_with(models)
    outer = app
    if wrapped == "mounted":
        outer = FastAPI(lifespan=models.lifespan)
        outer.mount("/sub", app)
        path = f"/sub{path}"
    if wrapped == "middleware":
        app.add_middleware(BaseHTTPMiddleware, dispatch=lambda request, call: call(request))
    install(outer, models)
    with TestClient(outer, raise_server_exceptions=False) as client:
        assert client.get(path).status_code == status
        assert (seen, leases(models)) == (noted, 0)


def test_a_websocket_holds_its_lease_until_it_closes(models: Models) -> None:
    app, seen = app_with(models)
    with TestClient(app) as client:
        with client.websocket_connect("/ws"):
            assert leases(models) == 1
        assert client.get("/def").status_code == 200  # a turn of the loop later
        assert seen == [1, 1, 1]
        assert leases(models) == 0


async def test_a_cancelled_request_gives_its_lease_back(models: Models) -> None:
    app, begun = FastAPI(lifespan=models.lifespan), anyio.Event()

    @app.get("/")
    async def get(model: Annotated[Handle[str], Depends(models.a)]) -> None:
        begun.set()
        await anyio.sleep_forever()

    async with running_client(app) as client, anyio.create_task_group() as group:
        group.start_soon(client.get, "/")
        await begun.wait()
        assert leases(models) == 1
        group.cancel_scope.cancel()
    assert leases(models) == 0
