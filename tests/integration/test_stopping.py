"""`loadonce serve` stops: announced, drained, bounded."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

_BUSY = 3.0  # seconds that a busy machine may add; without what is tested it were 10 or more

Launch = Callable[..., Any]
Write = Callable[..., Path]

APP = """
class Models(Registry):
    a: Model[str] = artifact(
        "a.bin", loader=text, threads=64, timeout=None, close=lambda value: note("closed")
    )

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)

@app.get("/wait")
async def wait(seconds: float, model: Annotated[Handle[str], Depends(models.a)]) -> str:
    def slowly(value: str) -> str:
        note("asked")
        time.sleep(seconds)
        return value
    return await model.run(slowly)

@app.get("/held")
async def held(model: Annotated[Handle[str], Depends(models.a)]) -> str:
    def until_released(value: str) -> str:
        note("asked")
        while not (HERE / "release").exists():
            time.sleep(0.02)
        return value
    return await model.run(until_released)

@app.get("/block")
async def block(seconds: float) -> None:
    note("asked")
    time.sleep(seconds)

@app.get("/thread")
async def thread(seconds: float) -> None:
    note("asked")
    await asyncio.to_thread(time.sleep, seconds)

@app.get("/ready")
async def ready() -> bool:
    return models.readiness().is_ready
"""


class Clients:
    """Requests in threads of their own; each ends as a status code or an exception's name."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._threads: list[threading.Thread] = []
        self.answers: list[httpx2.Response] = []
        self.errors: list[str] = []

    def get(self, path: str) -> None:
        def call() -> None:
            try:
                self.answers.append(httpx2.get(self._url + path, timeout=30))
            except httpx2.HTTPError as error:
                self.errors.append(type(error).__name__)

        thread = threading.Thread(target=call)
        thread.start()
        self._threads.append(thread)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)


@pytest.fixture
def started(write: Write, serve: Launch, tmp_path: Path) -> Callable[..., tuple[Any, Clients]]:
    """`started("/wait?seconds=1", "--flag")`: a server that is answering this request."""

    def start(path: str, *arguments: str, count: int = 1) -> tuple[Any, Clients]:
        write(APP, a=b"hello")
        process = serve(*arguments)
        clients = Clients(process.url)
        for _ in range(count):
            clients.get(path)
        notes = tmp_path / "notes.txt"
        deadline = time.monotonic() + 20
        while not notes.exists() or notes.read_text().count("asked") < count:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process, clients

    return start


Started = Callable[..., tuple[Any, Clients]]


def test_sigterm_lets_requests_in_flight_finish(started: Started, tmp_path: Path) -> None:
    process, clients = started("/held", count=32)
    process.send(signal.SIGTERM)
    process.wait_for("draining")
    time.sleep(2)  # until each connection knows it
    (tmp_path / "release").touch()
    assert process.wait() == 0
    clients.join()
    assert [answer.json() for answer in clients.answers] == ["hello"] * 32
    assert {answer.headers["connection"] for answer in clients.answers} == {"close"}
    assert clients.errors == []
    assert '"requests_lost": 0' in process.output
    assert (tmp_path / "notes.txt").read_text().endswith("closed\n")


def test_while_it_drains_it_answers_and_sends_clients_away(started: Started) -> None:
    process, clients = started("/wait?seconds=0", "--drain-delay", "1.5")
    clients.join()
    with httpx2.Client(timeout=30) as client:
        assert client.get(process.url + "/ready").json() is True
        process.send(signal.SIGTERM)
        process.wait_for("draining")
        answer = client.get(process.url + "/ready")
        assert answer.json() is False
        assert answer.headers["connection"] == "close"
        assert process.get("/wait?seconds=0").json() == "hello"
    assert process.wait(5) == 0


@pytest.mark.parametrize("mode", [("--no-fork",), ("--workers", "3")])
def test_signals_repeat_without_harm(started: Started, mode: tuple[str, ...]) -> None:
    process, clients = started("/wait?seconds=1", *mode)
    process.send(signal.SIGINT)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM, signal.SIGTERM):
        process.send(number)
        time.sleep(0.05)
    assert process.wait(5) == 0
    clients.join()
    assert clients.answers[0].json() == "hello"


def test_a_second_interrupt_ends_within_two_seconds(started: Started, tmp_path: Path) -> None:
    process, clients = started("/wait?seconds=20", "--drain-delay", "10")
    process.send(signal.SIGINT)
    process.wait_for("draining")
    began = time.monotonic()
    assert process.stop(signal.SIGINT, seconds=10) == 1
    assert time.monotonic() - began < 2.0 + _BUSY
    clients.join()
    assert "1 request lost" in process.output
    assert (tmp_path / "notes.txt").read_text().endswith("closed\n")


def test_a_hung_model_cannot_hold_the_exit(started: Started) -> None:
    process, clients = started("/wait?seconds=50", "--timeout-graceful-shutdown", "1", count=2)
    began = time.monotonic()
    assert process.stop(seconds=10) == 1
    assert time.monotonic() - began < 3.0 + _BUSY
    clients.join()
    assert "2 requests lost: not finished in time (model 'a': 2 running)" in process.output
    assert [answer.status_code for answer in clients.answers] == [503, 503]
    assert clients.answers[0].headers["content-type"] == "application/problem+json"
    assert "Traceback" not in process.output


def test_a_hung_job_of_the_default_executor_cannot_hold_the_exit(started: Started) -> None:
    process, clients = started("/thread?seconds=50", "--timeout-graceful-shutdown", "0.5")
    began = time.monotonic()
    assert process.stop(seconds=10) == 1
    assert time.monotonic() - began < 2.5 + _BUSY
    clients.join()
    assert clients.answers[0].status_code == 503


@pytest.mark.parametrize("mode", ["--fork", "--no-fork"])  # with a supervisor, and with nobody
def test_a_blocked_event_loop_cannot_hold_the_exit(started: Started, mode: str) -> None:
    process, clients = started("/block?seconds=50", mode, "--timeout-graceful-shutdown", "0.5")
    began = time.monotonic()
    assert process.stop(seconds=10) == 1
    assert time.monotonic() - began < 2.8 + _BUSY
    clients.join()
    assert "not stopped within 2.3 s, ending at once; 1 request lost" in process.output
    assert len(clients.errors) == 1


def test_a_hung_function_at_exit_cannot_hold_it(write: Write, serve: Launch) -> None:
    write("import atexit\napp = FastAPI()\natexit.register(time.sleep, 50)\n")
    process = serve()
    process.wait_for("ready on")
    began = time.monotonic()
    assert process.stop(seconds=15) == 0
    assert time.monotonic() - began > 4
    assert "what was registered with atexit has not ended within 5 s" in process.output


def test_an_app_whose_lifespan_fails_at_the_end_says_so(write: Write, serve: Launch) -> None:
    write(
        """
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def lifespan(app):
            yield
            raise OSError("the disk is gone")

        app = FastAPI(lifespan=lifespan)
        """
    )
    process = serve()
    assert process.url
    assert process.stop() != 0
    assert "OSError: the disk is gone (main.py, line " in process.output
