"""Request ids, private answers, bounded bodies, discreet logs."""

import logging
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.testclient import TestClient

from vitalcheck.logs import discreet_logs
from vitalcheck.middleware import BodyLimit, RequestContext


def small_app() -> FastAPI:
    app = FastAPI()

    @app.post("/api/v1/size")
    @app.post("/large")
    async def size(request: Request) -> dict[str, object]:
        return {"size": len(await request.body()), "id": request.state.request_id}

    @app.get("/other")
    async def other() -> str:
        return "other"

    app.add_middleware(BodyLimit, limit=10, exceptions={"/large": 100})
    app.add_middleware(RequestContext)
    return app


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(small_app()) as client:
        yield client


@pytest.mark.parametrize("given", ["abc", "A.b_c:d-1", "x" * 64])
def test_a_sane_id_is_kept_and_echoed(client: TestClient, given: str) -> None:
    reply = client.post("/api/v1/size", headers={"X-Request-ID": given})
    assert reply.headers["X-Request-ID"] == given
    assert reply.json()["id"] == given


@pytest.mark.parametrize("given", ["", " ", "a b", "x" * 65, "é", "<script>", "a,b", "a/b"])
def test_any_other_id_is_replaced(client: TestClient, given: str) -> None:
    reply = client.post("/api/v1/size", headers=[(b"X-Request-ID", given.encode())])
    assert len(reply.headers["X-Request-ID"]) == 32
    assert reply.json()["id"] == reply.headers["X-Request-ID"]


def test_two_ids_are_none(client: TestClient) -> None:
    reply = client.get("/other", headers=[("X-Request-ID", "a"), ("X-Request-ID", "b")])
    assert len(reply.headers["X-Request-ID"]) == 32


def test_ids_differ(client: TestClient) -> None:
    first, second = client.get("/other"), client.get("/other")
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]


def test_what_the_api_answers_is_not_kept(client: TestClient) -> None:
    assert client.post("/api/v1/size").headers["Cache-Control"] == "no-store"
    assert client.post("/api/v1/unknown").headers["Cache-Control"] == "no-store"
    assert "Cache-Control" not in client.get("/other").headers
    assert client.get("/other").headers["X-Content-Type-Options"] == "nosniff"


def test_a_root_path_does_not_hide_the_api() -> None:
    with TestClient(small_app(), root_path="/vital") as client:
        assert client.post("/vital/api/v1/size").headers["Cache-Control"] == "no-store"


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x"


def test_a_body_over_the_limit_is_refused_announced_or_not(client: TestClient) -> None:
    assert client.post("/api/v1/size", content=b"x" * 10).json()["size"] == 10
    assert client.post("/api/v1/size", content=b"x" * 11).status_code == 413
    assert client.post("/api/v1/size", content=chunks(10)).json()["size"] == 10
    refused = client.post("/api/v1/size", content=chunks(11))
    assert refused.status_code == 413
    assert "10 bytes" in refused.text


def test_a_path_may_have_a_limit_of_its_own(client: TestClient) -> None:
    assert client.post("/large", content=b"x" * 100).json()["size"] == 100
    assert client.post("/large", content=b"x" * 101).status_code == 413


def test_a_length_that_is_no_number_limits_nothing_by_itself(client: TestClient) -> None:
    reply = client.post("/api/v1/size", content=b"x" * 5, headers={"Content-Length": "five"})
    assert reply.json()["size"] == 5


def test_websockets_pass_untouched() -> None:
    app = small_app()

    @app.websocket("/ws")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())

    with TestClient(app) as client, client.websocket_connect("/ws") as socket:
        socket.send_text("a text of more than ten bytes")
        assert socket.receive_text() == "a text of more than ten bytes"


def test_access_lines_lose_their_query_string(caplog: pytest.LogCaptureFixture) -> None:
    access = logging.getLogger("uvicorn.access")
    line = '%s - "%s %s HTTP/%s" %d'
    with discreet_logs("warning"), caplog.at_level("INFO"):
        access.info(line, "127.0.0.1:1", "GET", "/api/v1/x?condition=canary", "1.1", 200)
        access.info("another line: %s", "kept?yes")
        assert logging.getLogger("vitalcheck").level == logging.WARNING
    assert caplog.messages == [
        '127.0.0.1:1 - "GET /api/v1/x HTTP/1.1" 200',
        "another line: kept?yes",
    ]
    assert not access.filters
    assert logging.getLogger("vitalcheck").level == logging.NOTSET
