"""Errors that a client can do something about, over HTTP and WebSockets."""

# No `from __future__ import annotations`: FastAPI has to see the routes' local types.

from typing import Annotated, Any

import pytest
from fastapi import FastAPI, HTTPException, Query, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from loadonce import DeadlineExceededError, NotReadyError, NotRunningError, QueueFullError
from loadonce.http import Problem, install


def make_app(error: Exception) -> FastAPI:
    app = FastAPI()
    install(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    @app.websocket("/early")
    async def early(_socket: WebSocket) -> None:
        raise error

    @app.websocket("/late")
    async def late(socket: WebSocket) -> None:
        await socket.accept()
        raise error

    @app.websocket("/closed")
    async def closed(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(4000)
        raise error

    @app.websocket("/number")
    async def number(socket: WebSocket, limit: Annotated[int, Query()]) -> None:
        await socket.accept()

    return app


TOLD = [
    (NotReadyError("heart", "still loading", retry_after=1.0), 503, 1013),
    (QueueFullError("heart", "full", retry_after=1.0), 503, 1013),
    (DeadlineExceededError("heart", 3.0, "queue"), 504, 1008),
    (Problem(402, "Pay first", price=3), 402, 1008),
    (HTTPException(403, "no"), 403, 1008),
]


@pytest.mark.parametrize(("error", "status", "code"), TOLD)
def test_http_and_handshakes_get_a_problem_and_open_sockets_a_code(
    error: Exception, status: int, code: int
) -> None:
    client = TestClient(make_app(error))
    response = client.get("/")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/early"):
        pass
    assert denied.value.status_code == status
    assert denied.value.json()["title"] == response.json()["title"]
    with client.websocket_connect("/late") as socket, pytest.raises(WebSocketDisconnect) as left:
        socket.receive_text()
    assert left.value.code == code
    with client.websocket_connect("/closed") as socket, pytest.raises(WebSocketDisconnect) as left:
        socket.receive_text()
    assert left.value.code == 4000


def test_a_registry_that_does_not_run_is_a_mistake_of_the_server() -> None:
    client = TestClient(make_app(NotRunningError("x", "Models")), raise_server_exceptions=False)
    response = client.get("/")
    assert response.status_code == 500
    assert "Models" not in response.text
    with pytest.raises(NotRunningError, match=r"lifespan=models\.lifespan"):
        TestClient(make_app(NotRunningError("x", "Models"))).get("/")


def test_a_websocket_with_wrong_parameters_is_told_which() -> None:
    client = TestClient(make_app(KeyError()))
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/number?limit=secret"),
    ):
        pass
    assert denied.value.json()["errors"] == [
        {
            "field": ["query", "limit"],
            "rule": "int_parsing",
            "message": "Input should be a valid integer, unable to parse string as an integer",
        }
    ]


@pytest.mark.anyio
async def test_a_server_without_the_extension_closes_with_a_code() -> None:
    app = make_app(NotReadyError("heart", "still loading"))
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/early", "headers": [], "query_string": b""}
    await app({**scope, "root_path": "", "subprotocols": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1013, "reason": ""}]


async def own(_request: Request, _error: Any) -> Response:
    return PlainTextResponse("own", 418)


@pytest.mark.parametrize("kind", [HTTPException, RequestValidationError, NotReadyError, Problem])
def test_handlers_of_the_app_are_kept(kind: type[Exception]) -> None:
    app = FastAPI(exception_handlers={kind: own})
    install(app)

    @app.get("/")
    async def fail(limit: int = 0) -> None:
        raise {
            HTTPException: HTTPException(400),
            NotReadyError: NotReadyError("x", ""),
            Problem: Problem(400),
        }[kind]

    query = "?limit=x" if kind is RequestValidationError else ""
    assert TestClient(app).get(f"/{query}").text == "own"


def test_handlers_added_later_win() -> None:
    app = make_app(NotReadyError("x", ""))
    app.add_exception_handler(NotReadyError, own)
    assert TestClient(app).get("/").text == "own"
