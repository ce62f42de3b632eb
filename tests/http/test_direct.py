"""Direct routes keep every promise of FastAPI's routes, and say when they are none.

Tests that take `route_class` run on FastAPI's own route and on the direct one.
"""

# No `from __future__ import annotations`: FastAPI has to see the routes' local types.

import functools
import gc
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import fastapi.routing
import pytest
import starlette.routing
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Depends,
    FastAPI,
    Form,
    HTTPException,
    Request,
    Response,
    Security,
)
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer, SecurityScopes
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loadonce import Handle, Model, Registry, Source, artifact
from loadonce.http import DirectRoute, install
from loadonce.http.direct import direct_routes, reason_of


def load(source: Source) -> float:
    return float(bytes(source.data))


class Models(Registry):
    double: Model[float] = artifact("double.bin", loader=load)
    late: Model[float] = artifact("late.bin", loader=load, required=False)


class Row(BaseModel):
    value: float


class Answer(BaseModel):
    value: float


@pytest.fixture(params=[APIRoute, DirectRoute])
def route_class(request: pytest.FixtureRequest) -> type[APIRoute]:
    found: type[APIRoute] = request.param
    return found


@pytest.fixture
def app(route_class: type[APIRoute]) -> FastAPI:
    app = FastAPI()
    app.router.route_class = route_class
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def last_route(app: FastAPI) -> Any:
    return app.routes[-1]


def reason(endpoint: Callable[..., Any], **settings: Any) -> str:
    """Why a route with this function is not direct."""
    return DirectRoute("/x", endpoint, **settings).fallback_reason


# What a route does -------------------------------------------------------------------------------


def test_a_handle_is_held_until_the_response_has_been_sent(
    locked: Callable[..., Path], app: FastAPI, route_class: type[APIRoute]
) -> None:
    models = Models(locked(double="2"))
    held: list[int] = []

    def leases() -> int:
        return models.double.status().leases

    @app.post("/scale")
    async def scale(
        row: Row,
        handle: Annotated[Handle[float], Depends(models.double)],
        again: Annotated[Handle[float], Depends(models.double)],
        raw: Annotated[float, Depends(models.double.raw)],
        tasks: BackgroundTasks,
    ) -> Answer:
        assert again is handle
        held.append(leases())
        tasks.add_task(lambda: held.append(leases()))
        return Answer(value=row.value * handle.value * raw)

    app.router.lifespan_context = models.lifespan
    with TestClient(app) as client:
        assert client.post("/scale", json={"value": 3}).json() == {"value": 12.0}
        assert held == [2, 2]
        assert leases() == 0
        with models.double.override(10.0):
            assert client.post("/scale", json={"value": 3}).json() == {"value": 300.0}
    assert reason_of(last_route(app)) == (
        "" if route_class is DirectRoute else "it is no DirectRoute"
    )


def test_a_handle_is_given_back_when_the_handler_fails(
    locked: Callable[..., Path], app: FastAPI
) -> None:
    models = Models(locked(double="2"))
    seen: list[int] = []

    @app.exception_handler(LookupError)
    async def handled(_request: Request, _error: Exception) -> Response:
        seen.append(models.double.status().leases)
        return Response(status_code=418)

    @app.post("/fail")
    async def fail(row: Row, handle: Annotated[Handle[float], Depends(models.double)]) -> Answer:
        seen.append(models.double.status().leases)
        raise LookupError(row.value)

    app.router.lifespan_context = models.lifespan
    with TestClient(app) as client:
        assert client.post("/fail", json={"value": 3}).status_code == 418
    assert seen == [1, 0]


def test_a_model_that_is_not_there_is_told(locked: Callable[..., Path], app: FastAPI) -> None:
    models = Models(locked(double="2"))
    install(app, models)

    @app.post("/late")
    async def late(row: Row, handle: Annotated[Handle[float], Depends(models.late)]) -> Answer:
        return Answer(value=row.value)

    app.router.lifespan_context = models.lifespan
    with TestClient(app) as client:
        found = client.post("/late", json={"value": 3})
    assert found.status_code == 503
    assert found.json()["model"] == "late"


def test_functions_add_headers_a_status_and_tasks(app: FastAPI, client: TestClient) -> None:
    done: list[str] = []

    def dependency(response: Response, tasks: BackgroundTasks) -> None:
        response.headers["X-One"] = "1"
        tasks.add_task(done.append, "dependency")

    @app.post("/made", dependencies=[Depends(dependency)])
    async def made(row: Row, response: Response, tasks: BackgroundTasks) -> Answer:
        response.status_code = 202
        response.set_cookie("a", "b")
        tasks.add_task(done.append, "handler")
        return Answer(value=row.value)

    @app.post("/own", dependencies=[Depends(dependency)])
    async def own(row: Row) -> Response:
        return Response("own", 203)

    @app.post("/page", dependencies=[Depends(dependency)], response_class=HTMLResponse)
    async def page(row: Row, response: Response) -> str:
        response.status_code = 204
        return "<p>"

    found = client.post("/made", json={"value": 1})
    assert (found.status_code, found.json()) == (202, {"value": 1.0})
    assert (found.headers["X-One"], found.headers["set-cookie"]) == (
        "1",
        "a=b; Path=/; SameSite=lax",
    )
    assert done == ["dependency", "handler"]
    found = client.post("/own", json={"value": 1})
    assert (found.status_code, found.text, found.headers.get("X-One")) == (203, "own", None)
    assert done == ["dependency", "handler", "dependency"]
    assert client.post("/page", json={"value": 1}).status_code == 204


def test_functions_that_take_the_request_see_it_with_its_body(
    app: FastAPI, client: TestClient
) -> None:
    left: list[str] = []

    async def body_length(request: Request) -> int:
        request.scope["fastapi_function_astack"].callback(left.append, "function")
        request.scope["fastapi_inner_astack"].callback(left.append, "request")
        return len(await request.body())

    @app.post("/seen")
    async def seen(
        row: Row, request: Request, length: Annotated[int, Depends(body_length)]
    ) -> list[Any]:
        parts = [part async for part in request.stream()]
        return [length, await request.json(), len(parts), request.headers["x-a"], row.value]

    @app.get("/bare")
    async def bare(request: Request) -> str:
        return f"{request.method} {await request.body()!r}"

    found = client.post("/seen", json={"value": 1.5}, headers={"X-A": "a"})
    assert found.json() == [13, {"value": 1.5}, 2, "a", 1.5]
    assert left == ["function", "request"]
    assert client.get("/bare").json() == "GET b''"


@pytest.mark.anyio
async def test_a_request_that_has_ended_leaves_nothing_to_the_collector(app: FastAPI) -> None:
    def with_request(request: Request) -> str:
        return request.url.path

    @app.post("/row")
    async def read(row: Row, path: Annotated[str, Depends(with_request)]) -> str:
        return path

    assert (await _outcome(app, [_part(b'{"value": 1}')]))[1]["body"] == b'"/row"'
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await _outcome(app, [_part(b'{"value": 1}')])
        gc.collect()
        left = [kind.__name__ for kind in map(type, gc.garbage)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert "Request" not in left


def test_a_plain_function_runs_in_a_thread(app: FastAPI, client: TestClient) -> None:
    import threading

    threads: list[str] = []

    def dependency() -> None:
        threads.append(threading.current_thread().name)

    @app.post("/sync", dependencies=[Depends(dependency)])
    def sync(row: Row) -> Answer:
        threads.append(threading.current_thread().name)
        return Answer(value=row.value)

    assert client.post("/sync", json={"value": 2}).json() == {"value": 2.0}
    assert all("AnyIO" in name for name in threads)


def test_a_stream_that_the_handler_returns_is_sent(app: FastAPI, client: TestClient) -> None:
    async def parts() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    @app.post("/stream", response_model=None)
    async def stream(row: Row) -> StreamingResponse:
        return StreamingResponse(parts())

    assert client.post("/stream", json={"value": 2}).text == "ab"


def test_an_answer_that_breaks_its_model_is_a_failure(app: FastAPI) -> None:
    @app.post("/wrong", response_model=Answer)
    async def wrong(row: Row) -> Any:
        return {"value": "no number"}

    with pytest.raises(ResponseValidationError) as raised:
        TestClient(app).post("/wrong", json={"value": 2})
    assert "POST /wrong" in str(raised.value)


# Failures ----------------------------------------------------------------------------------------


def test_exceptions_reach_the_apps_handlers_with_the_request(app: FastAPI) -> None:
    @app.exception_handler(LookupError)
    async def handled(request: Request, error: Exception) -> Response:
        return Response(b"handled " + await request.body(), 418)

    @app.exception_handler(409)
    def conflict(request: Request, error: Exception) -> Response:
        return Response(request.url.path, 409)

    @app.post("/fail/{kind}")
    async def fail(kind: str, row: Row) -> Answer:
        raise {"key": KeyError(kind), "http": HTTPException(409), "other": OSError()}[kind]

    client = TestClient(app, raise_server_exceptions=False)
    found = client.post("/fail/key", content=b'{"value": 1}', headers={"content-type": "a/json"})
    assert found.status_code == 422
    found = client.post("/fail/key", json={"value": 1})
    assert (found.status_code, found.content) == (418, b'handled {"value":1}')
    found = client.post("/fail/http", json={"value": 1})
    assert (found.status_code, found.text) == (409, "/fail/http")
    assert client.post("/fail/other", json={"value": 1}).status_code == 500


def test_a_failure_after_the_response_began_is_no_second_response(app: FastAPI) -> None:
    @app.exception_handler(LookupError)
    async def handled(_request: Request, _error: Exception) -> Response:
        raise AssertionError("unreachable")

    def late(kind: type[Exception]) -> None:
        raise kind("late")

    @app.post("/late/{handled}")
    async def endpoint(handled: bool, row: Row, tasks: BackgroundTasks) -> Answer:
        tasks.add_task(late, LookupError if handled else ArithmeticError)
        return Answer(value=1)

    client = TestClient(app)
    with pytest.raises(RuntimeError, match="response already started"):
        client.post("/late/true", json={"value": 1})
    with pytest.raises(ArithmeticError, match="late"):
        client.post("/late/false", json={"value": 1})


async def _outcome(
    app: ASGIApp, messages: list[Message | Exception], **changed: Any
) -> list[Message]:
    """What an app sends when its server gives it these messages."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/row",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json")],
        **changed,
    }
    sent: list[Message] = []

    async def receive() -> Message:
        message = messages.pop(0)
        if isinstance(message, Exception):
            raise message
        return message

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def _part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.anyio
async def test_bodies_come_in_any_number_of_parts(app: FastAPI) -> None:
    @app.post("/row")
    async def row(row: Row) -> Answer:
        return Answer(value=row.value)

    whole = b'{"value": 1.5}'
    parts: list[Message | Exception] = [_part(whole[n : n + 1], more=True) for n in range(14)]
    assert (await _outcome(app, [*parts, {"type": "http.request"}]))[1]["body"] == b'{"value":1.5}'
    broken: list[Message | Exception] = [_part(b"{", more=True), _part(b'"value"')]
    assert (await _outcome(app, broken))[0]["status"] == 422
    assert (await _outcome(app, [{"type": "http.request"}]))[0]["status"] == 422


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("end", "status"),
    [
        ({"type": "http.disconnect"}, 400),
        (HTTPException(413), 413),
        (OSError("the network"), 400),
    ],
)
async def test_a_body_that_does_not_come_whole_is_refused(
    end: Message | Exception, status: int, app: FastAPI
) -> None:
    @app.post("/row")
    async def row(row: Row) -> Answer:
        return Answer(value=row.value)

    assert (await _outcome(app, [_part(b"{", more=True), end]))[0]["status"] == status


# Around a route ----------------------------------------------------------------------------------


def test_overrides_count_from_the_moment_they_are_set(app: FastAPI) -> None:
    async def level() -> int:
        return 1

    async def other() -> int:
        return 5

    @app.post("/level")
    async def endpoint(row: Row, level: Annotated[int, Depends(level)]) -> int:
        return level

    with TestClient(app) as client:
        assert client.post("/level", json={"value": 1}).json() == 1
        app.dependency_overrides[level] = lambda: 2
        assert client.post("/level", json={"value": 1}).json() == 2
        app.dependency_overrides = {other: lambda: 3}
        assert client.post("/level", json={"value": 1}).json() == 1


def test_a_model_is_overridden_as_a_dependency_too(
    locked: Callable[..., Path], app: FastAPI
) -> None:
    models = Models(locked(double="2"))

    @app.post("/scale")
    async def scale(row: Row, factor: Annotated[float, Depends(models.double.raw)]) -> float:
        return row.value * factor

    app.router.lifespan_context = models.lifespan
    app.dependency_overrides[models.double.raw] = lambda: 7.0
    with TestClient(app) as client:
        assert client.post("/scale", json={"value": 2}).json() == 14.0


class Upper:
    """A pure ASGI middleware that reads the body and changes both ways."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def received() -> Message:
            message = await receive()
            return {**message, "body": message.get("body", b"").replace(b"1", b"2")}

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-upper", b"yes"))
            await send(message)

        if scope["type"] == "http":
            await self._app(scope, received, sent)
        else:
            await self._app(scope, receive, send)


def test_middleware_sees_and_changes_everything(app: FastAPI) -> None:
    async def twice(request: Request, call_next: RequestResponseEndpoint) -> Response:
        length = len(await request.body())
        response = await call_next(request)
        response.headers["x-length"] = str(length)
        return response

    app.add_middleware(Upper)
    app.add_middleware(BaseHTTPMiddleware, dispatch=twice)

    @app.post("/row")
    async def row(row: Row) -> Answer:
        return Answer(value=row.value)

    with TestClient(app) as client:
        found = client.post("/row", json={"value": 1})
        assert found.json() == {"value": 2.0}
        assert (found.headers["x-upper"], found.headers["x-length"]) == ("yes", "11")
        assert client.post("/row", content=b"{").status_code == 422


def test_compressed_bodies_are_refused_by_the_guard(app: FastAPI) -> None:
    install(app)

    @app.post("/row")
    async def row(row: Row) -> Answer:
        return Answer(value=row.value)

    with TestClient(app) as client:
        found = client.post("/row", content=b"x", headers={"content-encoding": "gzip"})
    assert found.status_code == 415


def test_included_routers_and_mounted_apps_add_their_own(route_class: type[APIRoute]) -> None:
    async def guard(token: str) -> None:
        if token != "open":
            raise HTTPException(403)

    async def yielding() -> AsyncIterator[int]:
        yield 1

    router = APIRouter(prefix="/r", route_class=route_class)

    @router.post("/row/{place}")
    async def row(place: str, row: Row) -> list[str | float]:
        return [place, row.value]

    app, mounted = FastAPI(), FastAPI()
    mounted.include_router(router)
    app.include_router(router, prefix="/a", dependencies=[Depends(guard)])
    app.include_router(router, prefix="/b", dependencies=[Depends(yielding)])
    app.mount("/m", mounted)
    with TestClient(app) as client:
        assert client.post("/a/r/row/x?token=open", json={"value": 1}).json() == ["x", 1.0]
        assert client.post("/a/r/row/x?token=no", json={"value": 1}).status_code == 403
        assert client.post("/a/r/row/x", json={"value": 1}).status_code == 422
        assert client.get("/a/r/row/x").status_code == 405
        assert client.post("/b/r/row/y", json={"value": 1}).json() == ["y", 1.0]
        assert client.post("/m/r/row/z", json={"value": 1}).json() == ["z", 1.0]
    if route_class is DirectRoute:
        assert list(direct_routes(app)) == [
            ("POST /a/r/row/{place}", ""),
            ("POST /b/r/row/{place}", "yielding yields"),
            ("POST /m/r/row/{place}", ""),
        ]


def test_the_openapi_document_is_the_same() -> None:
    documents = []
    for kind in (APIRoute, DirectRoute):
        app = FastAPI()
        app.router.route_class = kind

        @app.post("/row/{place}", tags=["t"], responses={404: {"model": Answer}})
        async def row(place: int, row: Row, q: str = "x") -> Answer:
            """Words about it."""
            return Answer(value=row.value)

        documents.append(app.openapi())
    assert documents[0] == documents[1]


class Watched:
    """A middleware that keeps the scopes, and may claim that FastAPI watches the request."""

    def __init__(self, app: ASGIApp, scopes: list[Scope], more: dict[str, object]) -> None:
        self._app = app
        self._scopes = scopes
        self._more = more

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.update(self._more)
        self._scopes.append(scope)
        await self._app(scope, receive, send)


@pytest.mark.parametrize("is_watched", [True, False])
def test_requests_that_fastapi_watches_are_left_to_it(is_watched: bool) -> None:
    """Telemetry has a span for each stage of FastAPI's own path."""
    scopes: list[Scope] = []
    app = FastAPI()
    app.router.route_class = DirectRoute
    more: dict[str, object] = {"fastapi.telemetry": object()} if is_watched else {}
    app.add_middleware(Watched, scopes=scopes, more=more)

    @app.post("/row")
    async def row(row: Row) -> Answer:
        return Answer(value=row.value)

    client = TestClient(app)
    assert client.post("/row", json={"value": 1}).json() == {"value": 1.0}
    assert ("fastapi_inner_astack" in scopes[-1]) is is_watched


# What is not direct ------------------------------------------------------------------------------


class Limits:
    """A dependency that cannot be a key."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self) -> int:
        return 1


def test_what_a_direct_route_cannot_do_it_says() -> None:
    def takes_form(name: Annotated[str, Form()]) -> None: ...
    def yields() -> Iterator[int]:
        yield 1

    async def yields_too() -> AsyncIterator[int]:
        yield 1

    def two_bodies(a: Row, b: Row) -> None: ...
    def embedded(a: Annotated[Row, Body(embed=True)]) -> None: ...
    def needs_yield(a: Annotated[int, Depends(yields)]) -> None: ...
    def with_body(row: Row) -> None: ...
    def needs_body(a: Annotated[None, Depends(with_body)]) -> None: ...
    def fresh(a: Annotated[None, Depends(row_less, use_cache=False)]) -> None: ...
    def scoped(a: Annotated[None, Depends(row_less, scope="function")]) -> None: ...
    def unhashable(a: Annotated[int, Depends(Limits())]) -> None: ...
    def of_scopes(scopes: SecurityScopes) -> None: ...
    def secure(a: Annotated[None, Security(row_less, scopes=["a"])]) -> None: ...

    assert reason(takes_form) == "it takes a form"
    assert reason(yields) == reason(yields_too) == "it streams what it yields"
    assert reason(two_bodies) == "its body has several parameters, or an embedded one"
    assert reason(embedded) == "its body has several parameters, or an embedded one"
    assert reason(needs_yield) == "yields yields"
    assert reason(needs_body) == "the dependency with_body takes the body"
    assert reason(fresh) == "the dependency row_less is not cached (use_cache=False)"
    assert reason(scoped) == "the dependency row_less has a scope (function)"
    assert reason(unhashable) == "the dependency Limits cannot be hashed"
    assert reason(of_scopes) == "of_scopes is about security scopes"
    assert reason(secure) == "row_less is about security scopes"
    assert reason(row_less, max_body_size=10) == "it has a max_body_size"
    assert reason(row_less) == ""


def row_less() -> None:
    """A function without arguments."""


def test_a_dependency_with_a_limit_of_its_own_is_not_direct() -> None:
    def limited(a: Annotated[None, Depends(row_less)]) -> None: ...

    route = DirectRoute("/x", limited)
    dependency = route.dependant.dependencies[0]
    dependency.concurrency = object()  # type: ignore[assignment]  # FastAPI's own class is private
    route.get_route_handler()
    assert route.fallback_reason == "the dependency row_less has a limit of its own"


def test_a_bearer_token_is_no_obstacle() -> None:
    def secure(token: Annotated[Any, Depends(HTTPBearer())]) -> str:
        return str(token.credentials)

    app = FastAPI()
    app.router.route_class = DirectRoute
    app.get("/secure")(secure)
    assert last_route(app).is_direct
    with TestClient(app) as client:
        assert client.get("/secure").status_code in (401, 403)
        assert client.get("/secure", headers={"Authorization": "Bearer x"}).json() == "x"


def test_a_class_that_changes_how_routes_work_is_served_by_fastapi() -> None:
    class Timed(DirectRoute):
        def get_route_handler(self) -> Any:
            handler = super().get_route_handler()

            async def timed(request: Request) -> Response:
                response = await handler(request)
                response.headers["x-timed"] = "yes"
                return response

            return timed

    class Handling(DirectRoute):
        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            await super().handle({**scope, "path_params": {"n": "7"}}, receive, send)

    class Older(DirectRoute):
        def get_route_handler(self) -> Any:
            return APIRoute.get_route_handler(self)

    app = FastAPI()
    for kind in (Timed, Handling, Older):

        async def endpoint(n: int) -> int:
            return n

        app.router.route_class = kind
        app.get(f"/{kind.__name__}/{{n}}")(endpoint)
    timed, handling, older = app.routes[-3:]
    assert reason_of(timed) == "Timed has a get_route_handler of its own"
    assert reason_of(handling) == "Handling has a handle of its own"
    assert reason_of(older) == "it is no DirectRoute"
    with TestClient(app) as client:
        assert client.get("/Timed/1").headers["x-timed"] == "yes"
        assert client.get("/Handling/1").json() == 7
        assert client.get("/Older/1").json() == 1


def _replaced(original: Any) -> Any:
    return lambda *arguments, **named: original(*arguments, **named)


def _wrapped(original: Any) -> Any:
    return functools.wraps(original)(_replaced(original))


@pytest.mark.parametrize("integration", [_replaced, _wrapped, functools.partial])
@pytest.mark.parametrize(
    ("place", "name"),
    [
        (fastapi.routing, "get_request_handler"),
        (fastapi.routing, "solve_dependencies"),
        (fastapi.routing, "serialize_response"),
        (starlette.routing.Route, "handle"),
    ],
)
def test_what_integrations_wrap_is_not_passed_by(
    integration: Callable[[Any], Any], place: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, integration(getattr(place, name)))
    assert reason(row_less) == f"something has put itself in the place of FastAPI's {name}"


def test_a_version_of_fastapi_with_another_inside_serves_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "loadonce.http.direct_plan", None)
    monkeypatch.delitem(sys.modules, "loadonce.http.direct_call", raising=False)
    assert reason(row_less).startswith(f"FastAPI {fastapi.__version__} is built in another way: ")


def test_an_older_fastapi_serves_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastapi, "__version__", "0.164.1")
    assert reason(row_less) == "FastAPI 0.164.1 is older than 0.165"
    monkeypatch.setattr(fastapi, "__version__", "1.0rc1")  # the control: this one is newer
    assert reason(row_less) == ""


def test_an_app_logs_when_it_starts_which_routes_are_direct(
    app: FastAPI, route_class: type[APIRoute], caplog: pytest.LogCaptureFixture
) -> None:
    install(app)
    app.get("/x")(row_less)
    app.get("/z", max_body_size=10)(row_less)
    with caplog.at_level("INFO", "loadonce.http"), TestClient(app):
        pass
    direct = ["direct routes: 1 of 2; through FastAPI: GET /z (it has a max_body_size)"]
    assert caplog.messages == (direct if route_class is DirectRoute else [])


def test_direct_routes_alone_need_no_reason(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    install(app)
    app.router.route_class = DirectRoute
    app.get("/x")(row_less)
    with caplog.at_level("INFO", "loadonce.http"), TestClient(app):
        pass
    assert caplog.messages == ["direct routes: 1 of 1"]


def test_a_route_shows_what_it_is() -> None:
    def yields() -> Iterator[int]:
        yield 1

    assert repr(DirectRoute("/x", row_less)).endswith("methods=['GET'], direct)")
    shown = repr(DirectRoute("/x", yields))
    assert shown.endswith("methods=['GET'], through FastAPI: it streams what it yields)")
    assert reason(functools.partial(row_less)) == ""
