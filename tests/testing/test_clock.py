"""A clock that jumps over every wait, and stands still while threads work."""

# No `from __future__ import annotations`: FastAPI has to see the routes' local types.

import asyncio
import queue
import selectors
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from loadonce import (
    DeadlineExceededError,
    FailedError,
    Model,
    ModelEvent,
    Registry,
    Source,
    State,
    artifact,
)
from loadonce.http import install
from loadonce.testing import FakeClock


@pytest.fixture
def clock(loadonce_clock: FakeClock) -> FakeClock:
    return loadonce_clock


def took(function: Callable[[], object]) -> float:
    started = time.monotonic()
    function()
    return time.monotonic() - started


def test_hours_pass_at_once_and_in_order(clock: FakeClock) -> None:
    order: list[tuple[str, float]] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append((name, asyncio.get_running_loop().time()))

    async def main() -> None:
        await asyncio.gather(wait("day", 86_400), wait("hour", 3600), wait("week", 604_800))

    assert took(lambda: clock.run(main())) < 2
    assert order == [("hour", 3600), ("day", 86_400), ("week", 604_800)]
    assert clock.time() == 604_800
    assert repr(clock) == "<FakeClock 604800 s>"


def test_anyios_timeouts_are_on_it_too(clock: FakeClock) -> None:
    async def main() -> bool:
        with anyio.move_on_after(60) as scope:
            await anyio.sleep(61)
        return scope.cancelled_caught

    assert clock.run(main())
    assert clock.time() == 60


@pytest.mark.parametrize(
    "run",
    [
        lambda work: asyncio.to_thread(work),
        lambda work: anyio.to_thread.run_sync(work),
        lambda work: asyncio.get_running_loop().run_in_executor(None, work),
    ],
)
def test_time_stands_still_while_a_thread_works(clock: FakeClock, run: Any) -> None:
    def work() -> str:
        time.sleep(0.05)
        return "done"

    async def main() -> str:
        async with asyncio.timeout(0.001):
            result: str = await run(work)
            return result

    assert clock.run(main()) == "done"
    assert clock.time() == 0


@pytest.mark.parametrize("wait", ["event", "queue", "join", "select"])
def test_time_passes_while_a_thread_only_waits(clock: FakeClock, wait: str) -> None:
    go_on = threading.Event()

    def for_queue() -> None:
        waiting: queue.Queue[None] = queue.Queue()
        threading.Timer(0.5, waiting.put, [None]).start()
        waiting.get()

    def for_join() -> None:
        thread = threading.Thread(target=go_on.wait)
        thread.start()
        thread.join()

    def for_select() -> None:
        with selectors.DefaultSelector() as selector:
            selector.select(0.3)

    waits: dict[str, Callable[[], object]] = {
        "event": go_on.wait,
        "queue": for_queue,
        "join": for_join,
        "select": for_select,
    }

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await asyncio.to_thread(waits[wait])
        go_on.set()

    clock.run(main())
    assert clock.time() == 100


def test_threads_that_were_there_before_do_not_hold_time_up(clock: FakeClock) -> None:
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            time.sleep(0.01)

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        clock.run(asyncio.sleep(50))
    finally:
        stop.set()
        thread.join()
    assert clock.time() == 50


def test_sockets_still_work(clock: FakeClock) -> None:
    async def main() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(5))
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            try:
                return await reader.read()
            finally:
                writer.close()

    assert clock.run(main()) == b"hello"


# -- with loadonce -----------------------------------------------------------------------------


class Loader:
    """Fails as often as it is told to."""

    failures = 0
    loads = 0

    def __call__(self, source: Source) -> bytes:
        Loader.loads += 1
        if Loader.loads <= Loader.failures:
            raise OSError("not yet")
        return bytes(source.data)


def hang(_source: Source) -> bytes:
    threading.Event().wait()
    raise AssertionError("unreachable: nothing sets this event")


@pytest.fixture
def root(locked: Callable[..., Path]) -> Path:
    Loader.failures = Loader.loads = 0
    return locked(a="x")


def test_back_off_takes_no_time(clock: FakeClock, root: Path) -> None:
    class Models(Registry):
        model: Model[bytes] = artifact("a.bin", loader=Loader(), when="background")

    models = Models(root)
    Loader.failures = 6

    async def main() -> None:
        async with models.running():
            ready = asyncio.Event()

            def listen(event: ModelEvent) -> None:
                if event.what == "ready":
                    ready.set()

            models.events.subscribe(listen)
            await ready.wait()
            assert models.model.state is State.READY

    assert took(lambda: clock.run(main())) < 10
    assert Loader.loads == 7
    assert clock.time() == pytest.approx(63, abs=0.1)  # 1 + 2 + 4 + 8 + 16 + 32


def test_a_failed_first_use_says_when_to_come_back(clock: FakeClock, root: Path) -> None:
    class Models(Registry):
        model: Model[bytes] = artifact("a.bin", loader=Loader(), when="first_use")

    models = Models(root)
    Loader.failures = 1

    async def main() -> None:
        async with models.running():
            with pytest.raises(FailedError) as caught:
                async with models.model.lease():
                    pass
            assert caught.value.retry_after == 1.0
            await asyncio.sleep(1.1)
            async with models.model.lease() as handle:
                assert handle.value == b"x"

    clock.run(main())


def test_a_loader_that_hangs_is_given_up(clock: FakeClock, root: Path) -> None:
    class Models(Registry):
        model: Model[bytes] = artifact("a.bin", loader=hang, required=False, load_timeout=600)

    models = Models(root)

    async def main() -> None:
        async with models.running():
            assert models.model.state is State.FAILED

    clock.run(main())
    assert 600 <= clock.time() < 610


def test_a_call_that_hangs_misses_its_deadline(clock: FakeClock, root: Path) -> None:
    class Models(Registry):
        model: Model[bytes] = artifact("a.bin", loader=Loader(), timeout=30)

    models = Models(root)
    go_on = threading.Event()

    async def main() -> None:
        async with models.running(), models.model.lease() as handle:
            with pytest.raises(DeadlineExceededError):
                await handle.run(lambda _value: go_on.wait())
            assert asyncio.get_running_loop().time() == pytest.approx(30, abs=0.1)
            go_on.set()

    clock.run(main())


def test_a_test_client_can_live_on_it(clock: FakeClock, root: Path) -> None:
    class Models(Registry):
        model: Model[bytes] = artifact("a.bin", loader=Loader(), when="background")

    models = Models(root)
    Loader.failures = 3
    app = FastAPI(lifespan=models.lifespan)
    install(app, models)

    @app.get("/wait")
    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)

    with TestClient(app, backend_options={"loop_factory": clock.new_event_loop}) as client:
        client.get("/wait?seconds=10")
        assert client.get("/readyz").json()["status"] == "ok"
    assert Loader.loads == 4
