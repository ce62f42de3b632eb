"""What each step of a request costs, in instructions of the processor: steady where times are not.

    python benchmarks/instructions.py            # all steps, as a Markdown table
    python benchmarks/instructions.py batch run  # some

Each step runs under valgrind twice, a few times and many times; the difference is the step's own
cost, without start-up. Instructions inside the kernel are not counted.
"""

import asyncio
import gc
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

FEW, MANY = 300, 1300

Step = Callable[[], Awaitable[object]]


def total(number: float) -> float:
    return number + 1.0


def totals(_model: Callable[[float], float], items: list[float]) -> list[float]:
    return [item + 1.0 for item in items]


def call(model: Callable[[float], float], item: float) -> float:
    return model(item)


async def bare() -> AsyncIterator[Step]:
    """an awaited function that calls the batch function itself"""

    async def step() -> object:
        return totals(total, [1.0])[0]

    yield step


async def run() -> AsyncIterator[Step]:
    """`await handle.run(function, item)`, inline"""
    async with _models().loaded() as models, models.model.lease() as handle:

        async def step() -> object:
            return await handle.run(call, 1.0)

        yield step


async def batch() -> AsyncIterator[Step]:
    """`await handle.batch(function, item)`, inline"""
    async with _models().loaded() as models, models.model.lease() as handle:

        async def step() -> object:
            return await handle.batch(totals, 1.0)

        yield step


async def threaded() -> AsyncIterator[Step]:
    """the same with `placement="thread"`: a future, the queue, a thread and back"""
    async with _models("thread").loaded() as models, models.model.lease() as handle:

        async def step() -> object:
            return await handle.batch(totals, 1.0)

        yield step


async def echo() -> AsyncIterator[Step]:
    """FastAPI's own empty reply: one float in, one out"""
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/")
    async def get(item: float) -> float:
        return item

    yield _request(app)


async def lease() -> AsyncIterator[Step]:
    """the same with `Depends(models.model)`"""
    from fastapi import Depends, FastAPI

    async with _models().loaded() as models:
        app = FastAPI()

        @app.get("/")
        async def get(item: float, model: Annotated[Any, Depends(models.model)]) -> float:
            return item

        yield _request(app)


async def yielding() -> AsyncIterator[Step]:
    """the same with a dependency that yields, for comparison"""
    from fastapi import Depends, FastAPI

    async def dependency() -> AsyncIterator[float]:
        yield 1.0

    app = FastAPI()

    @app.get("/")
    async def get(item: float, model: Annotated[float, Depends(dependency)]) -> float:
        return item

    yield _request(app)


async def request() -> AsyncIterator[Step]:
    """the same with `Depends(models.model)` and `await model.batch(function, item)`, inline"""
    from fastapi import Depends, FastAPI

    async with _models().loaded() as models:
        app = FastAPI()

        @app.get("/")
        async def get(item: float, model: Annotated[Any, Depends(models.model)]) -> float:
            answer: float = await model.batch(totals, item)
            return answer

        yield _request(app)


async def row() -> AsyncIterator[Step]:
    """FastAPI's own reply to a row of nine features, sent as JSON"""
    yield _request(_rows(), _ROW)


async def row_guarded() -> AsyncIterator[Step]:
    """the same after `install(app)`"""
    yield _request(_rows(guarded=True), _ROW)


async def row_lease() -> AsyncIterator[Step]:
    """the row with `Depends(models.model)`, after `install(app)`"""
    async with _models().loaded() as models:
        yield _request(_rows(models, guarded=True), _ROW)


async def direct() -> AsyncIterator[Step]:
    """the row on a `DirectRoute`"""
    yield _request(_rows(is_direct=True), _ROW)


async def direct_guarded() -> AsyncIterator[Step]:
    """the same after `install(app)`"""
    yield _request(_rows(is_direct=True, guarded=True), _ROW)


async def direct_lease() -> AsyncIterator[Step]:
    """the row with `Depends(models.model)` on a `DirectRoute`, after `install(app)`"""
    async with _models().loaded() as models:
        yield _request(_rows(models, is_direct=True, guarded=True), _ROW)


STEPS = {
    step.__name__: step
    for step in (
        *(bare, run, batch, threaded, echo, yielding, lease, request),
        *(row, row_guarded, row_lease, direct, direct_guarded, direct_lease),
    )
}

_ROW = (
    b'{"a": 1.5, "b": 2.5, "c": 3.5, "d": 4.5, "e": 5.5, "f": 6.5, '
    b'"g": "red", "h": "green", "i": "blue"}'
)


def _rows(models: Any = None, *, is_direct: bool = False, guarded: bool = False) -> Any:
    """An app that takes a row of nine features, and a handle if there are models."""
    from fastapi import Depends, FastAPI
    from pydantic import create_model

    from loadonce.http import DirectRoute, install

    types = [float] * 6 + [str] * 3
    row = create_model("Row", **dict(zip("abcdefghi", types, strict=True)))  # type: ignore[call-overload]
    answer = create_model("Answer", probability=float, label=int)
    app = FastAPI()
    if guarded:
        install(app)
    if is_direct:
        app.router.route_class = DirectRoute

    async def plain(body: Any) -> Any:
        return answer(probability=body.a, label=1)

    async def leased(body: Any, model: Any) -> Any:
        return answer(probability=body.a, label=1)

    handler = plain if models is None else leased
    handler.__annotations__ = {"body": row, "return": answer}
    if models is not None:
        handler.__annotations__["model"] = Annotated[Any, Depends(models.model)]
    app.post("/")(handler)
    return app


def _models(placement: Any = "inline") -> Any:
    from contextlib import contextmanager

    from loadonce import Model, Registry, resource

    @contextmanager
    def open_model() -> Any:
        yield total

    class Models(Registry):
        model: Model[Callable[[float], float]] = resource(open_model, placement=placement)

    return Models()


def _request(app: Any, body: bytes = b"") -> Step:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST" if body else "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"item=1.5",
        "root_path": "",
        "headers": [
            (b"host", b"x"),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        assert message.get("status", 200) == 200

    async def step() -> None:
        await app(dict(scope), receive, send)

    return step


async def repeat(name: str, times: int) -> None:
    """Run one step so often; `times` is all that differs between two runs."""
    gc.disable()
    async for step in STEPS[name]():
        for _ in range(times):
            await step()


def instructions(name: str, times: int) -> int:
    """How many instructions a process takes that runs the step so often."""
    with tempfile.TemporaryDirectory() as directory:
        command = [
            *("valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/out"),
            *_command(name, times),
        ]
        ran = subprocess.run(
            command, env=_environment(), capture_output=True, text=True, check=True
        )
    found = re.search(r"Collected : (\d+)", ran.stderr)
    assert found, ran.stderr
    return int(found[1])


def _command(name: str, times: int) -> list[str]:
    return [sys.executable, str(Path(__file__)), "--repeat", name, str(times)]


def _environment() -> dict[str, str]:
    return {"PYTHONHASHSEED": "0", "PYTHONPATH": ":".join(sys.path), "LOADONCE_FREEZE": "0"}


def main(arguments: list[str]) -> None:
    """The command."""
    if arguments[:1] == ["--repeat"]:
        asyncio.run(repeat(arguments[1], int(arguments[2])))
        return
    print("| step | instructions | |\n|---|---|---|")
    for name in arguments or STEPS:
        subprocess.run(_command(name, 1), env=_environment(), check=True)  # compiles to bytecode
        cost = (instructions(name, MANY) - instructions(name, FEW)) / (MANY - FEW)
        print(f"| `{name}` | {cost / 1000:.1f} k | {STEPS[name].__doc__} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
