"""Which answers tell the versions of the models they come from."""

# No `from __future__ import annotations`: FastAPI has to see the routes' local types.

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Response
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from loadonce import Handle, Model, Registry, Source, artifact, lock_directory, resource
from loadonce.http import DirectRoute, install
from loadonce.lifecycle.version import State, Version


def load(source: Source) -> str:
    return bytes(source.data).decode()


@contextmanager
def opened() -> Iterator[str]:
    yield "pool"


class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=load)
    b: Model[str] = artifact("b.bin", loader=load)
    pool: Model[str] = resource(opened)


models = Models(root=lambda: ROOT[0])
ROOT: list[Path] = []

A = Annotated[Handle[str], Depends(models.a)]
B = Annotated[Handle[str], Depends(models.b)]


@pytest.fixture(params=[APIRoute, DirectRoute])
def client(request: pytest.FixtureRequest, locked: Callable[..., Path]) -> Iterator[TestClient]:
    ROOT[:] = [locked(a=b"1", b=b"2")]
    with TestClient(make_app(request.param)) as client:
        yield client


def make_app(route_class: type[APIRoute], **options: Any) -> FastAPI:
    app = FastAPI(lifespan=models.lifespan)
    app.router.route_class = route_class
    install(app, models, **options)
    router = APIRouter(prefix="/in", route_class=route_class)

    @app.get("/none")
    async def none() -> str:
        return ""

    @app.get("/a")
    async def one(a: A) -> str:
        return a.value

    @app.get("/raw")
    def raw(a: Annotated[str, Depends(models.a.raw)]) -> str:
        return a

    @router.get("/both")
    async def both(b: B, a: A, again: Annotated[str, Depends(models.a.raw)]) -> str:
        return a.value + b.value

    @app.get("/pool")
    async def pool(a: Annotated[Handle[str], Depends(models.pool)]) -> str:
        return a.value

    @app.get("/own")
    async def own(a: A, response: Response) -> str:
        response.headers["X-Mine"] = "1"
        return a.value

    @app.get("/stream")
    async def stream(a: A) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            yield a.value

        return StreamingResponse(parts())

    @app.get("/refused")
    async def refused(a: A) -> str:
        raise HTTPException(409, a.value)

    app.include_router(router)
    return app


def label(name: str) -> str:
    return f"{name}={models[name].status().version}"


@pytest.mark.parametrize("path", ["/a", "/raw", "/own", "/stream", "/refused"])
def test_an_answer_tells_the_version_it_comes_from(client: TestClient, path: str) -> None:
    assert client.get(path).headers.get_list("x-model-version") == [label("a")]


def test_of_several_models_each_is_told_once(client: TestClient) -> None:
    told = client.get("/in/both").headers["x-model-version"]
    assert told == f"{label('b')}, {label('a')}"


@pytest.mark.parametrize("path", ["/none", "/pool", "/livez", "/missing"])
def test_who_used_no_artifact_tells_nothing(client: TestClient, path: str) -> None:
    assert "x-model-version" not in client.get(path).headers


def test_a_reload_changes_what_is_told(client: TestClient) -> None:
    before = client.get("/a").headers["x-model-version"]
    (ROOT[0] / "a.bin").write_bytes(b"new")
    lock_directory(ROOT[0])
    assert client.portal is not None
    client.portal.call(models.a.reload)
    answer = client.get("/a")
    assert answer.json() == "new"
    assert answer.headers["x-model-version"] == label("a") != before


def test_an_override_is_told(client: TestClient) -> None:
    with models.a.override("stub"):
        assert client.get("/a").headers["x-model-version"] == "a=override"


@pytest.mark.parametrize("route_class", [APIRoute, DirectRoute])
def test_it_can_be_left_out(locked: Callable[..., Path], route_class: type[APIRoute]) -> None:
    ROOT[:] = [locked(a=b"1", b=b"2")]
    with TestClient(make_app(route_class, version_header=False)) as client:
        assert "x-model-version" not in client.get("/a").headers
        assert "X-Model-Version" not in client.get("/openapi.json").text


def test_mounted_apps_tell_once(locked: Callable[..., Path]) -> None:
    ROOT[:] = [locked(a=b"1", b=b"2")]
    outer = FastAPI(lifespan=models.lifespan)
    install(outer, models)
    outer.mount("/inner", make_app(APIRoute))
    with TestClient(outer) as client:
        headers = client.get("/inner/a").headers
        assert headers.get_list("x-model-version") == [label("a")]


def test_the_openapi_document_tells_of_it(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path, is_told in {"/a": True, "/raw": True, "/in/both": True, "/none": False}.items():
        responses = paths[path]["get"]["responses"]
        assert ("X-Model-Version" in responses["200"].get("headers", {})) == is_told
        assert "headers" not in responses["default"]


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("iris", "2024-06+rc1", b"iris=2024-06+rc1"),
        ("iris", "a, b=c", b"iris=a%2C%20b%3Dc"),
        ("größe", "v1", b"gr%C3%B6%C3%9Fe=v1"),
        ("iris", "a\r\nb", b"iris=a%0D%0Ab"),
        ("pool", "", b""),
    ],
)
def test_any_label_can_stand_in_a_header(model: str, given: str, expected: bytes) -> None:
    version: Version[int] = Version(model, 1, label=given)
    assert version.tag == b""
    version.move(State.LOADING)
    version.publish(1)
    assert version.tag == expected
