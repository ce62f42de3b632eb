"""The truth table of the three probes."""

# No `from __future__ import annotations`: FastAPI has to see the routes' local types.

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from loadonce import Model, Registry, Source, artifact
from loadonce.http import install
from loadonce.testing import running_client

pytestmark = pytest.mark.anyio


class Gate:
    """A loader that waits until it is let through, or fails."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.fails = False

    def __call__(self, source: Source) -> bytes:
        self.open.wait(10)
        if self.fails:
            raise ValueError("cannot")
        return bytes(source.data)


gates: dict[str, Gate] = {}


def through(name: str) -> Callable[[Source], bytes]:
    return lambda source: gates[name](source)


class Models(Registry):
    first: Model[bytes] = artifact("a.bin", loader=through("first"))
    later: Model[bytes] = artifact("a.bin", loader=through("later"), when="background")
    extra: Model[bytes] = artifact(
        "a.bin", loader=through("extra"), when="background", required=False
    )
    seldom: Model[bytes] = artifact("a.bin", loader=through("seldom"), when="first_use")


@pytest.fixture
def models(locked: Callable[..., Path]) -> Models:
    gates.clear()
    gates.update({name: Gate() for name in ("first", "later", "extra", "seldom")})
    for name in ("first", "seldom"):
        gates[name].open.set()
    return Models(locked(a=b"x"))


def make_app(*registries: Registry, **options: Any) -> FastAPI:
    app = FastAPI(lifespan=registries[0].lifespan if registries else None)
    install(app, *registries, **options)
    return app


async def probe(client: Any, path: str, status: int) -> tuple[str, dict[str, str]]:
    response = await client.get(path)
    assert response.status_code == status, response.text
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    return body["status"], body.get("models", {})


async def until(client: Any, path: str, word: str) -> None:
    await eventually(lambda: client.get(path), lambda body: body["status"] == word)


async def eventually(get: Callable[[], Any], holds: Callable[[Any], bool]) -> None:
    for _ in range(1000):
        if holds((await get()).json()):
            return
        await anyio.sleep(0.005)
    raise AssertionError("it never came to be")


async def test_the_truth_table(models: Models) -> None:
    async with running_client(make_app(models)) as client:
        assert await probe(client, "/livez", 200) == ("ok", {})
        word, states = await probe(client, "/startupz", 503)
        assert word == "loading"
        assert states["first"] == "ready"
        assert states["seldom"] == "pending"
        assert (await probe(client, "/readyz", 503))[0] == "loading"

        gates["later"].open.set()
        await until(client, "/readyz", "degraded")  # the optional one is still missing
        assert (await probe(client, "/startupz", 200))[0] == "ok"
        assert (await probe(client, "/readyz", 200))[0] == "degraded"

        gates["extra"].fails = True
        gates["extra"].open.set()
        await eventually(
            lambda: client.get("/readyz"), lambda body: body["models"]["extra"] == "failed"
        )
        assert (await probe(client, "/readyz", 200))[0] == "degraded"
        gates["extra"].fails = False
        await models.extra.reload()
        assert (await probe(client, "/readyz", 200))[0] == "ok"

        gates["first"].fails = True
        with pytest.raises(Exception, match="cannot"):
            await models.first.reload()
        assert (await probe(client, "/readyz", 200))[0] == "ok"  # the old version serves

        models.start_draining()
        assert await probe(client, "/livez", 200) == ("ok", {})
        assert (await probe(client, "/startupz", 200))[0] == "ok"
        assert (await probe(client, "/readyz", 503))[0] == "draining"


async def test_models_that_are_being_closed_are_draining(models: Models) -> None:
    app = FastAPI()
    install(app, models)
    gates["later"].open.set()
    async with running_client(app) as client:
        life = models.running()
        await life.__aenter__()
        lease = models.first.lease()
        await lease.__aenter__()
        async with anyio.create_task_group() as group:
            group.start_soon(life.__aexit__, None, None, None)
            await until(client, "/readyz", "draining")
            await lease.__aexit__()
        assert (await probe(client, "/readyz", 503))[0] == "draining"  # unloaded


def test_before_and_after_its_life_an_app_is_not_ready(models: Models) -> None:
    client = TestClient(make_app(models))
    assert client.get("/livez").status_code == 200
    assert client.get("/startupz").status_code == 503
    assert client.get("/readyz").json()["status"] == "loading"


@pytest.mark.parametrize("path", ["/livez", "/startupz", "/readyz"])
def test_probes_are_plain_routes(path: str) -> None:
    def refuse() -> None:
        raise HTTPException(401)

    app = FastAPI(dependencies=[Depends(refuse)])
    install(app)
    client = TestClient(app)
    assert client.get(path).json()["status"] == "ok"
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert client.post(path).status_code == 405
    assert path not in client.get("/openapi.json").text


def test_probes_come_before_routes_that_match_everything() -> None:
    app = FastAPI()

    @app.get("/{rest:path}")
    async def everything(rest: str) -> str:
        return rest

    install(app)
    assert TestClient(app).get("/livez").json() == {"status": "ok"}
    assert TestClient(app).get("/else").json() == "else"


def test_probes_may_be_left_out() -> None:
    assert TestClient(make_app(probes=False)).get("/livez").status_code == 404


def test_probes_of_a_mounted_app() -> None:
    app = FastAPI()
    app.mount("/sub", make_app())
    assert TestClient(app).get("/sub/readyz").json() == {"status": "ok", "models": {}}


def test_models_of_several_registries_are_told_apart(models: Models) -> None:
    root = models._root
    app = make_app(models, Models(root), Models(root))
    names = list(TestClient(app).get("/readyz").json()["models"])
    assert names[:5] == ["first", "later", "extra", "seldom", "Models.first"]
    assert "Models.first#3" in names
    assert len(names) == 12


async def test_probes_need_no_thread(models: Models) -> None:
    app = FastAPI()
    install(app, models)
    async with running_client(app) as client:
        limiter = anyio.to_thread.current_default_thread_limiter()
        for number in range(int(limiter.total_tokens)):
            limiter.acquire_on_behalf_of_nowait(number)
        with anyio.fail_after(5):
            for path, status in (("/livez", 200), ("/startupz", 503), ("/readyz", 503)):
                await probe(client, path, status)
