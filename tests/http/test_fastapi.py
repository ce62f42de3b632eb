"""What an app built on FastAPI may rely on: every way of using models in it works."""

# No `from __future__ import annotations`: FastAPI has to see the routes' local types.

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel

from loadonce import (
    Handle,
    Model,
    Registry,
    Source,
    StartupError,
    State,
    artifact,
    lock_directory,
    resource,
)
from loadonce.http import install
from loadonce.testing import OffLoop, overrides, running_client

pytestmark = pytest.mark.anyio


@dataclass
class Scaler:
    """A small model: multiplies, and knows in which threads it did."""

    factor: float

    def __post_init__(self) -> None:
        self.threads: set[int] = set()
        self.batches: list[int] = []

    def scale(self, rows: list[float]) -> list[float]:
        self.threads.add(threading.get_ident())
        self.batches.append(len(rows))
        return [row * self.factor for row in rows]


def load(source: Source) -> Scaler:
    return Scaler(float(bytes(source.data)))


class Models(Registry):
    double: Model[Scaler] = artifact("double.bin", loader=load, placement="thread")
    triple: Model[Scaler] = artifact("triple.bin", loader=load, required=False)


class Row(BaseModel):
    value: float


def scaled(model: Scaler, rows: list[Row]) -> list[float]:
    return model.scale([row.value for row in rows])


@pytest.fixture
def root(locked: Callable[..., Path]) -> Path:
    return locked(double="2", triple="3")


@pytest.fixture
def models(root: Path) -> Models:
    return Models(root)


def routes(models: Models) -> APIRouter:
    router = APIRouter()
    Double = Annotated[Handle[Scaler], Depends(models.double)]

    @router.post("/batched")
    async def batched(row: Row, model: Double) -> float:
        return await model.batch(scaled, row)

    @router.post("/run")
    async def run(row: Row, model: Double) -> float:
        return (await model.run(scaled, [row]))[0]

    @router.post("/sync")
    def sync(row: Row, model: Double) -> float:
        return model.run_sync(scaled, [row])[0]

    @router.post("/raw")
    def raw(row: Row, model: Annotated[Scaler, Depends(models.triple.raw)]) -> float:
        return scaled(model, [row])[0]

    @router.post("/careless")
    async def careless(row: Row, model: Annotated[Scaler, Depends(models.double.raw)]) -> float:
        return scaled(model, [row])[0]

    @router.get("/version")
    async def version(model: Double) -> str:
        return model.version

    return router


def make_app(models: Models) -> FastAPI:
    app = FastAPI(lifespan=models.lifespan)
    install(app, models)
    app.include_router(routes(models))
    return app


ROUTES = [("/batched", 2.0), ("/run", 2.0), ("/sync", 2.0), ("/raw", 3.0), ("/careless", 2.0)]


@pytest.mark.parametrize(("path", "factor"), ROUTES)
def test_every_way_of_calling_a_model_answers(models: Models, path: str, factor: float) -> None:
    with TestClient(make_app(models)) as client:
        assert client.post(path, json={"value": 2.5}).json() == 2.5 * factor


@pytest.mark.parametrize(("path", "_factor"), ROUTES)
def test_only_the_careless_way_calls_the_model_on_the_loop(
    models: Models, path: str, _factor: float
) -> None:
    stub = OffLoop(Scaler(1))
    with overrides(models, double=stub, triple=stub), TestClient(make_app(models)) as client:
        if path == "/careless":
            with pytest.raises(AssertionError, match=r"Scaler\.scale was called on the event loop"):
                client.post(path, json={"value": 1})
        else:
            assert client.post(path, json={"value": 1}).json() == 1.0


# -- overrides ---------------------------------------------------------------------------------


def test_an_overridden_model_needs_no_file(tmp_path: Path) -> None:
    models = Models(tmp_path / "nowhere")
    with (
        models.double.override(Scaler(10)),
        models.triple.override(Scaler(20)),
        TestClient(make_app(models)) as client,
    ):
        assert client.post("/batched", json={"value": 1}).json() == 10.0
        assert client.post("/raw", json={"value": 1}).json() == 20.0
        with models.double.override(Scaler(30)):
            assert client.post("/run", json={"value": 1}).json() == 30.0
        assert client.post("/run", json={"value": 1}).json() == 10.0


def test_fastapis_own_overrides_work_too(models: Models) -> None:
    app = make_app(models)
    app.dependency_overrides[models.triple.raw] = lambda: Scaler(7)
    with TestClient(app) as client:
        assert client.post("/raw", json={"value": 1}).json() == 7.0
        app.dependency_overrides.clear()
        assert client.post("/raw", json={"value": 1}).json() == 3.0


# -- ways to build an app ----------------------------------------------------------------------


def test_routers_included_in_routers(models: Models) -> None:
    inner, outer = APIRouter(prefix="/b"), APIRouter(prefix="/a")
    inner.include_router(routes(models))
    outer.include_router(inner)
    app = FastAPI(lifespan=models.lifespan)
    install(app, models)
    app.include_router(outer)
    app.include_router(routes(models), prefix="/again")
    with TestClient(app) as client:
        assert client.post("/a/b/batched", json={"value": 1}).json() == 2.0
        assert client.post("/again/sync", json={"value": 1}).json() == 2.0


def test_an_app_mounted_in_another_shares_the_models(models: Models) -> None:
    app = make_app(models)
    sub = FastAPI()
    install(sub, models)
    sub.include_router(routes(models))
    app.mount("/sub", sub)
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.post("/sub/run", json={"value": 1}).json() == 2.0
        assert client.get("/sub/readyz").json()["status"] == "ok"
    assert client.post("/sub/run", json={"value": 1}).status_code == 500  # not running


def test_several_registries_in_one_app(root: Path) -> None:
    class Others(Registry):
        other: Model[Scaler] = artifact("triple.bin", loader=load)

    models, others = Models(root), Others(root)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with models.running(app), others.running(app):
            yield

    app = FastAPI(lifespan=lifespan)
    install(app, models, others)

    @app.get("/")
    async def both(
        double: Annotated[Handle[Scaler], Depends(models.double)],
        other: Annotated[Handle[Scaler], Depends(others.other)],
    ) -> list[float]:
        return [(await one.run(Scaler.scale, [1.0]))[0] for one in (double, other)]

    with TestClient(app) as client:
        assert client.get("/").json() == [2.0, 3.0]
        assert set(client.get("/readyz").json()["models"]) == {"double", "triple", "other"}


def test_the_same_registry_twice_in_one_process(root: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (second / "double.bin").write_text("20")
    (second / "triple.bin").write_text("30")
    lock_directory(second)
    apps = make_app(Models(root)), make_app(Models(second))
    with TestClient(apps[0]) as one, TestClient(apps[1]) as other:
        assert one.post("/run", json={"value": 1}).json() == 2.0
        assert other.post("/run", json={"value": 1}).json() == 20.0


def test_an_app_is_started_again_and_again(models: Models) -> None:
    app = make_app(models)
    for _ in range(3):
        with TestClient(app) as client:
            assert client.post("/raw", json={"value": 1}).json() == 3.0


def test_a_missing_required_model_stops_the_start(root: Path) -> None:
    (root / "double.bin").unlink()
    with pytest.raises(StartupError, match=r"double\.bin"), TestClient(make_app(Models(root))):
        pass


def test_a_missing_optional_model_answers_503_and_leaves_the_others(root: Path) -> None:
    (root / "triple.bin").write_text("4")
    with TestClient(make_app(Models(root))) as client:
        assert client.post("/run", json={"value": 1}).json() == 2.0
        refused = client.post("/raw", json={"value": 1})
        assert refused.status_code == 503
        assert refused.json()["model"] == "triple"
        assert "retry-after" not in refused.headers
        assert client.get("/readyz").json()["status"] == "degraded"


# -- leases ------------------------------------------------------------------------------------


def test_a_dependency_used_twice_in_a_request_is_one_lease(models: Models) -> None:
    app = make_app(models)
    Double = Annotated[Handle[Scaler], Depends(models.double)]

    def through_another(model: Double) -> Handle[Scaler]:
        return model

    @app.get("/twice")
    async def twice(
        model: Double, same: Annotated[Handle[Scaler], Depends(through_another)]
    ) -> list[Any]:
        return [model is same, models.double.status().leases]

    @app.get("/both")
    async def both(
        model: Double, value: Annotated[Scaler, Depends(models.double.raw)]
    ) -> list[Any]:
        return [model.value is value, models.double.status().leases]

    with TestClient(app) as client:
        assert client.get("/twice").json() == [True, 1]
        assert client.get("/both").json() == [True, 2]
        assert models.double.status().leases == 0


def test_a_handler_that_fails_gives_its_lease_back(models: Models) -> None:
    app = make_app(models)

    @app.get("/fail")
    async def fail(model: Annotated[Handle[Scaler], Depends(models.double)]) -> None:
        raise KeyError

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/fail").status_code == 500
        assert models.double.status().leases == 0


def test_a_stream_and_background_tasks_keep_the_lease_to_their_end(models: Models) -> None:
    app = make_app(models)
    seen: list[tuple[str, int, float]] = []

    def note(what: str, model: Handle[Scaler]) -> None:
        seen.append((what, models.double.status().leases, model.value.factor))

    @app.get("/stream")
    async def stream(
        model: Annotated[Handle[Scaler], Depends(models.double)], tasks: BackgroundTasks
    ) -> StreamingResponse:
        tasks.add_task(note, "after", model)

        async def parts() -> AsyncIterator[str]:
            for number in range(3):
                note(f"part {number}", model)
                yield f"{(await model.run(Scaler.scale, [number]))[0]};"

        return StreamingResponse(parts(), background=tasks)

    with TestClient(app) as client:
        assert client.get("/stream").text == "0.0;2.0;4.0;"
        assert [what for what, *_ in seen] == ["part 0", "part 1", "part 2", "after"]
        assert {leases for _what, leases, _factor in seen} == {1}
        assert models.double.status().leases == 0


async def test_calls_declared_inline_run_on_the_loop(root: Path) -> None:
    class Inline(Registry):
        double: Model[Scaler] = artifact("double.bin", loader=load, placement="inline")

    async with Inline(root).loaded() as models, models.double.lease() as handle:
        for _ in range(3):
            assert await handle.run(Scaler.scale, [1.0]) == [2.0]
            assert await handle.batch(Scaler.scale, 1.0) == 2.0
        assert handle.value.threads == {threading.get_ident()}
        placements = models.double.status().statistics.placements
        assert placements == {"Scaler.scale": {1: "inline"}}


def parts_of(model: Scaler, count: int) -> Iterator[float]:
    for number in range(count):
        yield model.scale([number])[0]


def test_a_stream_of_a_model_holds_the_version_and_its_thread(models: Models) -> None:
    app = make_app(models)
    seen: list[int] = []

    @app.get("/stream")
    async def stream(model: Annotated[Handle[Scaler], Depends(models.double)]) -> Any:
        async def lines() -> AsyncIterator[str]:
            async for part in model.stream(parts_of, 3):
                seen.append(models.double.status().leases)
                yield f"{part};"

        return StreamingResponse(lines())

    with TestClient(app) as client:
        assert client.get("/stream").text == "0.0;2.0;4.0;"
        assert seen == [2, 2, 2]  # the request's, and the stream's own
        status = models.double.status()
        assert (status.leases, status.statistics.calls, status.statistics.errors) == (0, 1, 0)


async def test_one_bad_row_of_many_requests_fails_one(models: Models) -> None:
    app = make_app(models)

    def inverse(_model: Scaler, rows: list[float]) -> list[float]:
        return [1 / row for row in rows]

    @app.get("/inverse/{row}")
    async def get(
        row: float, model: Annotated[Handle[Scaler], Depends(models.double)]
    ) -> float | None:
        try:
            return await model.batch(inverse, row)
        except ZeroDivisionError:
            return None

    @app.get("/all")
    async def get_all(model: Annotated[Handle[Scaler], Depends(models.double)]) -> list[bool]:
        found = await model.batch_many(inverse, [1.0, 0.0, 2.0], return_exceptions=True)
        return [isinstance(one, Exception) for one in found]

    async with running_client(app) as client:
        rows = [0.0, *(float(2**power) for power in range(15))]
        answers = await asyncio.gather(*(client.get(f"/inverse/{row}") for row in rows))
        assert [answer.json() for answer in answers] == [None, *(1 / row for row in rows[1:])]
        assert (await client.get("/all")).json() == [False, True, False]
        assert models.double.status().statistics.errors == 2


async def test_requests_finish_on_the_version_they_began_with(models: Models, root: Path) -> None:
    app = make_app(models)
    begun, go_on = anyio.Event(), anyio.Event()

    @app.get("/slow")
    async def slow(model: Annotated[Handle[Scaler], Depends(models.double)]) -> list[Any]:
        begun.set()
        await go_on.wait()
        return [model.version, (await model.run(Scaler.scale, [1.0]))[0]]

    async with running_client(app) as client, anyio.create_task_group() as group:
        old = (await client.get("/version")).json()
        answers: list[Any] = []

        async def ask() -> None:
            answers.append((await client.get("/slow")).json())

        group.start_soon(ask)
        await begun.wait()
        (root / "double.bin").write_text("200")
        lock_directory(root)
        await models.double.reload()
        new = (await client.get("/version")).json()
        assert new != old
        assert (await client.post("/run", json={"value": 1})).json() == 200.0
        go_on.set()
    assert answers == [[old, 2.0]]


def test_a_websocket_holds_its_version_until_it_renews(models: Models, root: Path) -> None:
    app = make_app(models)

    @app.websocket("/ws")
    async def ws(
        socket: WebSocket, model: Annotated[Handle[Scaler], Depends(models.double)]
    ) -> None:
        await socket.accept()
        async for word in socket.iter_text():
            if word == "reload":
                await models.double.reload()
            elif word == "renew":
                model.renew()
            await socket.send_json((await model.run(Scaler.scale, [1.0]))[0])

    with TestClient(app) as client:
        with client.websocket_connect("/ws") as socket:

            def say(word: str) -> float:
                socket.send_text(word)
                answer: float = socket.receive_json()
                return answer

            assert say("call") == 2.0
            (root / "double.bin").write_text("200")
            lock_directory(root)
            assert say("reload") == 2.0
            assert client.post("/run", json={"value": 1}).json() == 200.0
            assert say("call") == 2.0
            assert say("renew") == 200.0
            assert models.double.status().leases == 1
        assert client.get("/livez").status_code == 200  # a turn of the loop later
        assert models.double.status().leases == 0


# -- together ----------------------------------------------------------------------------------


async def test_concurrent_requests_run_in_few_batches_off_the_loop(models: Models) -> None:
    async with running_client(make_app(models)) as client:
        answers: dict[int, float] = {}

        async def ask(number: int) -> None:
            answers[number] = (await client.post("/batched", json={"value": number})).json()

        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(ask, number)
        assert answers == {number: 2.0 * number for number in range(100)}
        model = models.double.slot.serving
        assert model is not None
        assert sum(model.value.batches) == 100
        assert len(model.value.batches) < 50
        assert threading.get_ident() not in model.value.threads


async def test_requests_that_are_cancelled_leave_nothing_behind(root: Path) -> None:
    go_on = threading.Event()
    runs: list[int] = []

    def slow(model: Scaler, rows: list[int]) -> list[int]:
        runs.append(len(rows))
        go_on.wait(10)
        return rows

    models = Models(root)
    app = make_app(models)

    @app.get("/slow")
    async def ask(model: Annotated[Handle[Scaler], Depends(models.double)]) -> int:
        return await model.run(lambda value: slow(value, [1])[0])

    async with running_client(app) as client:
        before = len(asyncio.all_tasks())
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(client.get, "/slow")
            while not runs:  # noqa: ASYNC110  # the first one runs in a thread
                await anyio.sleep(0.001)
            group.cancel_scope.cancel()
        go_on.set()
        assert (await client.get("/slow")).json() == 1
        assert runs == [1, 1]  # of those that waited, none ran
        status = models.double.status()
        assert (status.leases, status.statistics.in_flight) == (0, 0)
        assert len(asyncio.all_tasks()) == before


def test_a_resource_is_a_dependency_like_any_other(root: Path) -> None:
    @asynccontextmanager
    async def open_pool(scaler: Scaler) -> AsyncIterator[list[float]]:
        pool = [scaler.factor]
        yield pool
        pool.clear()

    class WithPool(Registry):
        double: Model[Scaler] = artifact("double.bin", loader=load)
        pool: Model[list[float]] = resource(open_pool, double)

    models = WithPool(root)
    app = FastAPI(lifespan=models.lifespan)
    install(app, models)
    kept: list[list[float]] = []

    @app.get("/")
    async def get(pool: Annotated[list[float], Depends(models.pool.raw)]) -> list[float]:
        kept.append(pool)
        return pool

    with TestClient(app) as client:
        assert client.get("/").json() == [2.0]
    assert kept == [[]]


def test_one_load_for_all_who_ask_first(root: Path) -> None:
    loads: list[str] = []

    def slow_load(source: Source) -> Scaler:
        loads.append(source.name)
        return load(source)

    class Lazy(Registry):
        double: Model[Scaler] = artifact("double.bin", loader=slow_load, when="first_use")

    models = Lazy(root)
    app = FastAPI(lifespan=models.lifespan)
    install(app, models)

    @app.get("/")
    async def get(model: Annotated[Handle[Scaler], Depends(models.double)]) -> float:
        return model.value.factor

    async def main() -> list[Any]:
        async with running_client(app) as client:
            assert (await client.get("/readyz")).status_code == 200
            return [
                response.json()
                for response in await asyncio.gather(*(client.get("/") for _ in range(20)))
            ]

    assert asyncio.run(main()) == [2.0] * 20
    assert loads == ["double.bin"]


def test_a_draining_registry_still_answers(models: Models) -> None:
    with TestClient(make_app(models)) as client:
        models.start_draining()
        assert client.get("/readyz").status_code == 503
        assert client.post("/run", json={"value": 1}).json() == 2.0
        assert models.double.state is State.READY


def test_a_full_queue_is_503_with_retry_after(root: Path) -> None:
    class Narrow(Registry):
        double: Model[Scaler] = artifact("double.bin", loader=load, max_queue=1)

    models = Narrow(root)
    app = FastAPI(lifespan=models.lifespan)
    install(app, models)

    @app.get("/")
    async def get(model: Annotated[Handle[Scaler], Depends(models.double)]) -> list[float]:
        return await model.batch_many(Scaler.scale, [1.0, 2.0])

    async def main() -> list[Any]:
        async with running_client(app) as client:
            return await asyncio.gather(*(client.get("/") for _ in range(5)))

    answers = asyncio.run(main())
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused
    assert {answer.json()["title"] for answer in refused} == {"Too many requests for this model"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
