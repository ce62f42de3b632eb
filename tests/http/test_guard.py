"""The request guard: what never reaches a handler, and what a handler's failure looks like."""

# No `from __future__ import annotations`: FastAPI has to see the routes' local types.

import gzip
import json
import math
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Depends,
    FastAPI,
    Header,
    Request,
    UploadFile,
    WebSocket,
)
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator
from starlette.requests import ClientDisconnect
from starlette.testclient import WebSocketDenialResponse
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect

from loadonce.http import install

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}


class Vitals(BaseModel):
    glucose: float = Field(alias="Glucose")
    note: str = ""


class Finite(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    x: float


class Odd(BaseModel):
    x: float

    @field_validator("x")
    @classmethod
    def _fail(cls, value: float) -> float:
        raise RuntimeError("a validator with a mistake")


def make_app(**options: Any) -> FastAPI:
    app = FastAPI()
    install(app, **options)

    @app.post("/untyped", response_model=None)
    async def untyped(vitals: Vitals) -> Any:
        return {"glucose": vitals.glucose, "note": vitals.note}

    @app.post("/typed")
    def typed(vitals: Vitals) -> float:
        return vitals.glucose

    @app.post("/two")
    async def two(a: Annotated[float, Body()], b: Annotated[Vitals, Body()]) -> None:
        return None

    @app.post("/anything")
    async def anything(value: Annotated[Any, Body()]) -> Any:
        return value

    @app.post("/own")
    async def own(request: Request) -> Any:
        return await request.json()

    @app.post("/parses-another")
    async def parses_another(request: Request) -> Any:
        await request.body()
        return json.loads("[")

    @app.post("/parses-and-fails")
    async def parses_and_fails(request: Request) -> None:
        await request.json()
        raise ValueError("secret")

    @app.post("/parses-nothing")
    async def parses_nothing(value: list[int]) -> Any:
        return json.loads("")

    @app.post("/count")
    async def count(request: Request) -> int:
        return len([chunk async for chunk in request.stream()])

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    @app.post("/upload")
    async def upload(file: UploadFile) -> int:
        return len(await file.read())

    @app.post("/narrow")
    async def narrow(value: Annotated[int, Body()]) -> str:
        return value.to_bytes(8, "little").hex()

    @app.post("/odd")
    async def odd(value: Odd) -> None:
        return None

    @app.get("/nan", response_model=None)
    async def nan() -> Any:
        return {"p": math.nan}

    @app.get("/finite", response_model=Finite)
    async def finite(x: float) -> Any:
        return {"x": x}

    @app.get("/number", response_model=None)
    async def number(x: float) -> Any:
        return {"x": x}

    @app.get("/fail/{name}")
    async def fail(name: str) -> None:
        raise KeyError(f"secret {name}")

    @app.get("/late")
    async def late() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun"
            raise KeyError("secret")

        return StreamingResponse(parts())

    @app.get("/after")
    async def after(tasks: BackgroundTasks) -> str:
        tasks.add_task(int, "secret")
        return "done"

    @app.get("/left")
    async def left() -> None:
        raise ClientDisconnect

    return app


@pytest.fixture
def client() -> TestClient:
    return TestClient(make_app(), raise_server_exceptions=False)


def problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    return document


NOT_FINITE = [
    b"NaN",
    b"-Infinity",
    b"1e400",
    b'"nan"',
    b'" -INF"',
    b'"1e999"',
    b"9" * 308 + b".9e9",
]


@pytest.mark.parametrize("path", ["/typed", "/untyped"])
@pytest.mark.parametrize("number", NOT_FINITE)
def test_numbers_that_are_not_finite_are_refused_by_name(
    client: TestClient, path: str, number: bytes
) -> None:
    body = b'{"note": "nan", "Glucose": ' + number + b"}"
    found = problem(client.post(path, content=body, headers=JSON), 422)
    assert found["errors"] == [
        {
            "field": ["body", "Glucose"],
            "rule": "finite_number",
            "message": "Input should be a finite number",
        }
    ]


def test_a_text_that_looks_like_a_number_is_fine_in_a_field_of_text(client: TestClient) -> None:
    response = client.post("/untyped", json={"Glucose": 1, "note": "nan"})
    assert response.json() == {"glucose": 1.0, "note": "nan"}


def test_several_bodies_in_one_are_looked_at_too(client: TestClient) -> None:
    found = problem(client.post("/two", json={"a": "inf", "b": {"Glucose": "nan"}}), 422)
    assert [error["field"] for error in found["errors"]] == [
        ["body", "a"],
        ["body", "b", "Glucose"],
    ]


def test_a_route_of_an_included_router_is_guarded() -> None:
    app = FastAPI()
    install(app)
    inner, outer = APIRouter(), APIRouter()

    @inner.post("/x")
    async def x(vitals: Vitals) -> Any:
        return vitals.glucose

    outer.include_router(inner, prefix="/inner")
    app.include_router(outer, prefix="/outer")
    client = TestClient(app)
    problem(client.post("/outer/inner/x", json={"Glucose": "nan"}), 422)
    assert client.post("/outer/inner/x", json={"Glucose": 2}).json() == 2.0


def test_validation_still_answers_first_where_more_is_wrong(client: TestClient) -> None:
    found = problem(client.post("/typed", json={"note": "nan"}), 422)
    assert found["errors"] == [
        {"field": ["body", "Glucose"], "rule": "missing", "message": "Field required"}
    ]


def test_a_validator_with_a_mistake_fails_in_its_own_place(client: TestClient) -> None:
    problem(client.post("/odd", json={"x": "nan"}), 500)


@pytest.mark.parametrize("allowed", [b"NaN", b'"nan"', b"1e400"])
def test_non_finite_numbers_may_be_allowed(allowed: bytes) -> None:
    client = TestClient(make_app(allow_non_finite=True))
    response = client.post("/typed", content=b'{"Glucose": ' + allowed + b"}", headers=JSON)
    assert (response.status_code, response.json()) == (200, None)


@pytest.mark.parametrize("path", ["/anything", "/own", "/untyped"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"Glucose": 1, "note": "\\ud800"}', 422),
        (b'{"Glucose": 1, "note": "\\udc00\\ud800"}', 422),
        (b'{"Glucose": 1, "note": "\xed\xa0\x80"}', 400),
        (b'{"Glucose": 1, "note": "\xff"}', 400),
        ('{"Glucose": 1}'.encode("utf-16"), 400),
        (b"[" * 250_000, 400),
        (b'{"Glucose":' * 100_000, 400),
        (b"[" * 70 + b"]" * 70, 400),
        (b"{", 400),
        (b'{"Glucose": ' + b"9" * 5000 + b"}", 400),
    ],
)
def test_what_no_parser_should_be_given_is_refused(
    client: TestClient, path: str, body: bytes, status: int
) -> None:
    found = problem(client.post(path, content=body, headers=JSON), status)
    assert "secret" not in json.dumps(found)


def test_a_body_that_a_handler_cannot_parse_is_nothing_to_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    for body in (b"{", b"\xff", b"\xef\xbb\xbf\xff", b"\xef\xbb\xbf{", b""):
        problem(client.post("/own", content=body, headers=JSON), 400)
    assert "request failed" not in caplog.text


def test_another_text_that_a_handler_cannot_parse_is_its_own_failure(client: TestClient) -> None:
    problem(client.post("/parses-another", content=b"{}", headers=JSON), 500)
    problem(client.post("/parses-nothing", json=[]), 500)
    problem(client.post("/parses-and-fails", json=[]), 500)


def test_a_large_body_that_was_parsed_is_not_to_blame_for_another_text() -> None:
    app = make_app()

    @app.post("/other")
    async def other(numbers: list[int]) -> None:
        json.loads("{")

    client = TestClient(app, raise_server_exceptions=False)
    assert client.post("/other", json=[1] * 40_000).status_code == 500


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),  # a byte order mark is ignored
        (b'{"a": 1, "a": 2}', {"a": 2}),  # the last of equal keys counts
        (b'"\\ud83d\\ude00"', "😀"),
        (b"-0.0", -0.0),
        (b"1e-400", 0.0),
        (b'"\\u0000"', "\0"),
    ],
)
def test_documented_coercions(client: TestClient, body: bytes, value: object) -> None:
    response = client.post("/anything", content=body, headers=JSON)
    assert (response.status_code, response.json()) == (200, value)


@pytest.mark.parametrize("kind", ["application/problem+json; charset=utf-8", "APPLICATION/JSON"])
def test_every_kind_of_json_is_guarded(client: TestClient, kind: str) -> None:
    problem(client.post("/anything", content=b"NaN", headers={"content-type": kind}), 422)


def test_a_body_that_says_nothing_of_its_kind_may_be_json() -> None:
    app = FastAPI(strict_content_type=False)
    install(app)

    @app.post("/")
    async def echo(value: Annotated[Any, Body()]) -> Any:
        return value

    problem(TestClient(app).post("/", content=b"NaN"), 422)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-ndjson", "application/octet-stream"])
def test_other_bodies_pass_untouched(client: TestClient, kind: str) -> None:
    response = client.post(
        "/size", content=b"NaN\xff" + b"[" * 1000, headers={"content-type": kind}
    )
    assert response.json() == 1004


def test_uploads_pass_untouched(client: TestClient) -> None:
    assert client.post("/upload", files={"file": b"NaN\xff"}).json() == 4


@pytest.mark.parametrize("coding", ["gzip", "identity, BR", "x-unheard-of"])
async def test_a_compressed_body_that_nobody_decodes_is_refused_unread(coding: str) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        pytest.fail("was read")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = _scope("http", "/typed", JSON | {"content-encoding": coding}) | {"method": "POST"}
    await make_app()(scope, receive, send)
    assert sent[0]["status"] == 415
    assert (b"accept-encoding", b"identity") in sent[0]["headers"]
    document = json.loads(sent[1]["body"])
    assert document["type"] == "urn:problem-type:loadonce:content-encoding"
    assert "without Content-Encoding" in document["detail"]
    assert coding not in document["detail"]


def test_a_body_that_is_not_compressed_after_all_is_taken(client: TestClient) -> None:
    for coding in ("identity", "", "Identity, identity"):
        headers = JSON | {"content-encoding": coding}
        assert client.post("/typed", content=b'{"Glucose": 1}', headers=headers).json() == 1
        problem(client.post("/typed", content=b'{"Glucose": NaN}', headers=headers), 422)


def test_a_compressed_body_that_the_app_decodes_passes(client: TestClient) -> None:
    """A handler that reads it by itself, and a route class as FastAPI's documentation has it."""

    class Decoding(Request):
        async def body(self) -> bytes:
            return gzip.decompress(await super().body())

    class DecodingRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Any]:
            handle = super().get_route_handler()

            async def decode(request: Request) -> Response:
                return await handle(Decoding(request.scope, request.receive))

            return decode

    app = FastAPI()
    router = APIRouter(route_class=DecodingRoute)

    @router.post("/sum")
    async def total(values: list[int]) -> int:
        return sum(values)

    app.include_router(router)
    install(app)
    body = gzip.compress(b"[1, 2]")
    headers = JSON | {"content-encoding": "gzip"}
    assert TestClient(app).post("/sum", content=body, headers=headers).json() == 3
    assert client.post("/size", content=body, headers=headers).json() == len(body)


async def test_chunks_of_a_large_body_that_a_handler_reads_itself_pass_as_they_come() -> None:
    chunks = [b"[" + b"NaN," * 300_000, b"1]"]
    sent = await _post(make_app(), "/count", chunks, JSON)
    assert sent[0]["status"] == 200
    assert sent[1]["body"] == b"3"


@pytest.mark.parametrize("path", ["/own", "/anything"])
async def test_a_body_in_many_chunks_is_looked_at_as_a_whole(path: str) -> None:
    chunks = [b'{"a": ', b"", b"N", b"a", b"N", b"}"]
    assert (await _post(make_app(), path, chunks, JSON))[0]["status"] == 422


async def test_a_large_body_that_is_parsed_is_looked_at_whatever_its_size() -> None:
    chunks = [b'{"Glucose": 1, "note": "', b"x" * 2_000_000, b'", "more": NaN}']
    assert (await _post(make_app(), "/typed", chunks, JSON))[0]["status"] == 422


async def test_a_body_read_before_the_route_is_known_is_looked_at() -> None:
    app = make_app()

    @app.middleware("http")
    async def reads(request: Request, call_next: Callable[[Request], Any]) -> Any:
        await request.body()
        return await call_next(request)

    assert (await _post(app, "/anything", [b"[Na", b"N]"], JSON))[0]["status"] == 422


async def test_a_client_that_leaves_while_sending_leaves_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app()
    sent = await _post(app, "/own", [b"{", None], JSON)
    assert sent == []
    assert not caplog.records


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/narrow", b"18446744073709551616", ["body"]),
        ("/narrow", b'"18446744073709551616"', ["body"]),
    ],
)
def test_a_failure_on_a_doubtful_value_is_the_requests(
    client: TestClient, path: str, body: bytes, field: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    found = problem(client.post(path, content=body, headers=JSON), 422)
    assert found["errors"][0]["field"] == field
    assert found["errors"][0]["rule"] == "int_size"
    assert "OverflowError" in caplog.text


@pytest.mark.parametrize("query", ["x=nan", "x=-inf", "x=1e999", "x=%20NaN"])
@pytest.mark.parametrize("path", ["/number", "/finite"])
def test_a_failure_on_a_number_in_the_url_is_the_requests(
    client: TestClient, path: str, query: str
) -> None:
    found = problem(client.get(f"{path}?{query}"), 422)
    assert found["errors"][0]["field"] == ["query", "x"]


def test_only_a_header_that_was_asked_for_can_be_to_blame() -> None:
    app = FastAPI()
    install(app)

    def dose(x_dose: Annotated[str, Header()]) -> int:
        return int(float(x_dose))

    @app.get("/dose")
    async def declared(amount: Annotated[int, Depends(dose)]) -> int:
        return amount

    @app.get("/mistake")
    async def mistake() -> int:
        return int("a mistake of the app's own")

    router = APIRouter()

    @router.get("/any")
    async def anything() -> int:
        return 1

    app.include_router(router, prefix="/routed", dependencies=[Depends(dose)])
    client = TestClient(app, raise_server_exceptions=False)
    problem(client.get("/routed/any", headers={"x-dose": "inf"}), 422)
    proxied = {"x-request-id": "123456789012345678901234567890"}
    found = problem(client.get("/dose", headers={"x-dose": "inf", **proxied}), 422)
    assert [error["field"] for error in found["errors"]] == [["header", "x-dose"]]
    assert client.get("/dose", headers={"x-dose": "1", **proxied}).json() == 1
    problem(client.get("/mistake", headers=proxied), 500)


def test_a_failure_of_another_kind_is_not_blamed_on_the_request(client: TestClient) -> None:
    problem(client.get("/fail/nan"), 500)


def test_a_result_that_is_not_finite_is_the_servers_failure(client: TestClient) -> None:
    found = problem(client.get("/nan"), 500)
    assert found["instance"].startswith("urn:request:")


def test_a_declared_result_that_is_not_finite_is_null_unless_it_must_be_finite() -> None:
    app = FastAPI()

    @app.get("/any")
    async def loose() -> float:
        return math.nan

    @app.get("/finite")
    async def strict() -> FiniteFloat:
        return math.nan

    install(app)
    client = TestClient(app, raise_server_exceptions=False)
    assert client.get("/any").json() is None  # pydantic's way, not ours: declare FiniteFloat
    problem(client.get("/finite"), 500)


# -- failures ----------------------------------------------------------------------------------


def test_a_failure_is_told_by_an_id_that_the_log_names(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    found = problem(client.get("/fail/jane"), 500)
    reference = found["instance"].removeprefix("urn:request:")
    (record,) = [one for one in caplog.records if one.name == "loadonce.http"]
    fields: dict[str, object] = record.__dict__["loadonce"]
    assert fields["reference"] == reference
    assert fields["route"] == "/fail/{name}"
    assert fields["error"] == "KeyError"
    assert reference in caplog.text
    assert "in fail" in caplog.text
    assert "secret" not in caplog.text.replace('raise KeyError(f"secret {name}")', "")
    assert "jane" not in caplog.text


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_handler_that_exits_has_failed(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()

    @app.get("/exit")
    def leave() -> None:
        raise kind("secret of jane")

    found = problem(TestClient(app).get("/exit"), 500)
    assert found["instance"].removeprefix("urn:request:") in caplog.text
    assert f"route=/exit error={kind.__name__}" in caplog.text
    assert "jane" not in caplog.text.replace('raise kind("secret of jane")', "")


def test_the_apps_own_id_is_used_where_there_is_one(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()

    @app.middleware("http")
    async def identify(request: Request, call_next: Callable[[Request], Any]) -> Any:
        request.state.request_id = "r-17"
        response = await call_next(request)
        response.headers["X-Request-ID"] = "r-17"
        return response

    client = TestClient(app, raise_server_exceptions=False)
    response = client.get("/fail/x")
    assert problem(response, 500)["request_id"] == "r-17"
    assert response.headers["x-request-id"] == "r-17"  # failures pass the app's middleware too
    assert "r-17" in caplog.text
    assert problem(client.get("/nowhere"), 404)["request_id"] == "r-17"


def test_a_test_sees_the_exception_itself() -> None:
    with pytest.raises(KeyError, match="secret"):
        TestClient(make_app()).get("/fail/x")


def test_a_test_sees_a_refusal_as_the_client_does() -> None:
    assert TestClient(make_app()).post("/narrow", json=2**64).status_code == 422


def test_a_failure_in_middleware_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()

    @app.middleware("http")
    async def fails(request: Request, call_next: Callable[[Request], Any]) -> Any:
        raise KeyError("secret")

    found = problem(TestClient(app, raise_server_exceptions=False).get("/nan"), 500)
    assert found["instance"].removeprefix("urn:request:") in caplog.text


def test_an_app_in_debug_mode_shows_its_tracebacks() -> None:
    app = make_app()
    app.debug = True
    response = TestClient(app, raise_server_exceptions=False).get("/fail/x")
    assert "Traceback" in response.text


@pytest.mark.parametrize("key", [500, Exception])
def test_an_apps_own_handler_of_failures_is_kept(key: Any) -> None:
    async def own(_request: Request, _error: Any) -> Response:
        return PlainTextResponse("own", 500)

    app = FastAPI(exception_handlers={key: own})
    install(app)

    @app.get("/")
    async def fail() -> None:
        raise KeyError

    assert TestClient(app, raise_server_exceptions=False).get("/").text == "own"


async def test_a_response_that_had_begun_is_broken_off_without_the_exceptions_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(Exception, match="after its response had begun") as caught:
        await _get(make_app(), "/late")
    assert type(caught.value).__name__ == "RequestFailedError"
    assert caught.value.__suppress_context__
    assert len(caplog.records) == 1
    assert "KeyError" in caplog.text


async def test_a_failure_after_the_response_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    sent = await _get(make_app(), "/after")
    assert sent[-1]["body"] == b'"done"'
    assert "ValueError" in caplog.text


async def test_a_client_that_left_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    assert await _get(make_app(), "/left") == []
    assert not caplog.records


async def test_cancelling_a_request_passes_through() -> None:
    app = FastAPI()
    install(app)
    begun = anyio.Event()

    @app.get("/")
    async def wait() -> None:
        begun.set()
        await anyio.sleep_forever()

    sent: list[Message] = []
    async with anyio.create_task_group() as group:
        group.start_soon(_call, app, "GET", "/", [], {}, sent)
        await begun.wait()
        group.cancel_scope.cancel()
    assert sent == []


def test_a_mounted_app_with_a_guard_of_its_own_checks_a_body_once() -> None:
    app, sub = make_app(), make_app()
    app.mount("/sub", sub)
    client = TestClient(app, raise_server_exceptions=False)
    problem(client.post("/sub/anything", content=b"NaN", headers=JSON), 422)
    assert problem(client.get("/sub/fail/x"), 500)["instance"]
    assert client.get("/sub/livez").json() == {"status": "ok"}


# -- WebSockets --------------------------------------------------------------------------------


def make_socket_app() -> FastAPI:
    app = FastAPI()
    install(app)

    @app.websocket("/early")
    async def early(_socket: WebSocket) -> None:
        raise KeyError("secret")

    @app.websocket("/late")
    async def late(socket: WebSocket) -> None:
        await socket.accept()
        raise KeyError("secret")

    @app.websocket("/closed")
    async def closed(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(4000)
        raise KeyError("secret")

    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        while True:
            await socket.send_text(await socket.receive_text())

    return app


def test_a_websocket_that_fails_is_closed_and_the_reason_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = TestClient(make_socket_app())
    with client.websocket_connect("/late") as socket, pytest.raises(WebSocketDisconnect) as left:
        socket.receive_text()
    assert left.value.code == 1011
    assert "method=WEBSOCKET route=/late error=KeyError" in caplog.text
    assert "'secret'" not in caplog.text


def test_a_websocket_that_fails_before_it_is_accepted_is_answered_with_a_problem() -> None:
    client = TestClient(make_socket_app())
    with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect("/early"):
        pass
    response = caught.value
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"


def test_a_websocket_that_closed_before_it_failed_stays_closed() -> None:
    client = TestClient(make_socket_app())
    with client.websocket_connect("/closed") as socket, pytest.raises(WebSocketDisconnect) as left:
        socket.receive_text()
    assert left.value.code == 4000


def test_a_client_that_leaves_its_websocket_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with TestClient(make_socket_app()).websocket_connect("/echo") as socket:
        socket.send_text("NaN \\ud800")
        assert socket.receive_text() == "NaN \\ud800"
    assert not caplog.records


def test_a_websocket_in_debug_mode_raises() -> None:
    app = make_socket_app()
    app.debug = True
    with pytest.raises(KeyError), TestClient(app).websocket_connect("/late") as socket:
        socket.receive_text()


async def test_a_failed_websocket_whose_client_left_is_let_go() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        if message["type"] == "websocket.close":
            raise OSError
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = _scope("websocket", "/late")
    await make_socket_app()(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.accept"]


async def test_a_server_that_cannot_refuse_with_a_response_closes_instead() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = _scope("websocket", "/early")
    await make_socket_app()(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1011, "reason": ""}]


# -- helpers -----------------------------------------------------------------------------------


def _scope(kind: str, path: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "type": kind,
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
        "server": ("test", 80),
        "client": ("test", 1),
        "scheme": "http",
        "subprotocols": [],
    }


async def _get(app: FastAPI, path: str) -> list[Message]:
    sent: list[Message] = []
    await _call(app, "GET", path, [], {}, sent)
    return sent


async def _post(
    app: FastAPI, path: str, chunks: list[Any], headers: dict[str, str]
) -> list[Message]:
    sent: list[Message] = []
    await _call(app, "POST", path, chunks, headers, sent)
    return sent


async def _call(
    app: FastAPI,
    method: str,
    path: str,
    chunks: list[Any],
    headers: dict[str, str],
    sent: list[Message],
) -> None:
    """One request as a server would make it; None among the chunks: the client leaves."""
    waiting = list(chunks)

    async def receive() -> Message:
        if not waiting:
            await anyio.lowlevel.checkpoint()
            return {"type": "http.request" if not chunks else "http.disconnect"}
        chunk = waiting.pop(0)
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(_scope("http", path, headers) | {"method": method}, receive, send)
