"""Killed workers and stopped servers under 64-way load: what is lost, and how soon it is over."""

from __future__ import annotations

import os
import re
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from .test_reloads import least_memory
from .test_workers import OPENED, Load, children_of, connections_of, until, workers_of

pytestmark = [pytest.mark.integration, pytest.mark.nightly, pytest.mark.timeout(1200)]

Launch = Callable[..., Any]
Write = Callable[..., Path]

APP = (
    OPENED
    + """
class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text, threads=64, timeout=None)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)

def slowly(value: str) -> str:
    time.sleep(0.05)
    return value

@app.get("/a")
async def a(model: Annotated[Handle[str], Depends(models.a)]) -> int:
    await model.run(slowly)
    return os.getpid()

@app.get("/readyz")
async def ready() -> bool:
    return models.readiness().is_ready
"""
)

_CLIENTS = 64
_KILLS = 50
_STOPS = 20
_BUSY = 3.0  # seconds that a busy machine may add


class Clients(Load):
    """Clients that note whose answer they miss.

    Attributes:
        lost: of each request that was not answered, the worker at the other end of its connection;
            0 if that had answered nothing yet.
        closing: how many answers told their client to close the connection.
        last: when the last answer came.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, _CLIENTS, "/a")
        self.lost: list[int] = []
        self.closing = 0
        self.last = 0.0

    def _ask(self) -> None:
        worker = 0
        with httpx2.Client(timeout=30) as client:
            while not self._is_over.is_set():
                try:
                    answer = client.get(self._url)
                except (httpx2.ConnectError, httpx2.ConnectTimeout):
                    return  # nobody serves any more
                except httpx2.HTTPError as error:
                    self.lost.append(worker)
                    self.failures.append(repr(error))
                    worker = 0
                    continue
                worker = self._look(answer)

    def _look(self, answer: httpx2.Response) -> int:
        """Whose answer it is; 0 if the next one may be another's."""
        self.last = time.monotonic()
        self.answers[answer.status_code] += 1
        is_closing = answer.headers.get("connection") == "close"
        self.closing += is_closing
        return 0 if is_closing or answer.status_code != 200 else int(answer.json())


def kill(process: Any, number: int) -> tuple[int, int, float]:
    """Kill one worker: its process id, how many connections it had, and the seconds until its
    successor served."""
    pid = workers_of(process)[number]
    os.kill(pid, signal.SIGSTOP)  # so that the count is exact
    count = connections_of(process, pid)
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    until(lambda: workers_of(process)[number] != pid)
    return pid, count, time.monotonic() - began


def memory_of_all(process: Any, clients: Clients) -> int:
    """What all processes hold together, once each worker has its clients: one that has answered
    nothing yet holds 2.5 MB less, 2.5 % of all."""
    until(lambda: all(connections_of(process, pid) for pid in workers_of(process).values()))
    clients.wait_for_answers(8 * _CLIENTS)
    return least_memory(process)


def test_killed_workers_lose_what_they_were_answering_and_nobody_else_anything(
    write: Write, serve: Launch
) -> None:
    write(APP, a=b"a")
    process = serve("--workers", "4")
    killed: dict[int, int] = {}
    seconds: list[float] = []
    with Clients(process.url) as clients:
        for number in range(_KILLS):
            clients.wait_for_answers(4 * _CLIENTS)
            if number == 2:
                before = memory_of_all(process, clients)
            pid, count, took = kill(process, number % 4 + 1)
            killed[pid] = count
            seconds.append(took)
        after = memory_of_all(process, clients)
    assert set(clients.answers) == {200}
    lost = Counter(clients.lost)
    unknown = lost.pop(0, 0)
    assert set(lost) <= set(killed)  # no other worker lost any
    assert all(count <= killed[pid] for pid, count in lost.items())
    assert 0 < len(clients.lost) <= sum(killed.values())  # the control: they are seen
    assert re.findall(r"opened \S+", process.output) == ["opened a.bin"]
    assert len(children_of(process.popen.pid)) == 5
    median, p95 = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
    print(
        f"{clients.answers.total()} answers, {len(clients.lost)} lost ({unknown} on new "
        f"connections) of {sum(killed.values())} open; replaced in {median * 1e3:.0f} ms, "
        f"p95 {p95 * 1e3:.0f} ms; memory {after / before - 1:+.2%} of {before} KiB"
    )
    assert p95 < 1.0 + _BUSY
    assert after / before - 1 < 0.02
    assert process.stop() == 0


def stop(serve: Launch, *arguments: str) -> tuple[Clients, float, int]:
    """Stop a server under load: its clients, the seconds from their last answer to its end, and
    its exit code."""
    process = serve("--workers", "4", *arguments)
    with Clients(process.url) as clients:
        clients.wait_for_answers(4 * _CLIENTS)
        process.send(signal.SIGTERM)
        code = process.wait()
        seconds = time.monotonic() - clients.last
    return clients, seconds, code


def test_twenty_stops_lose_no_request(write: Write, serve: Launch) -> None:
    write(APP, a=b"a")
    slowest, total = 0.0, 0
    for _ in range(_STOPS):
        clients, seconds, code = stop(serve, "--drain-delay", "0.5")
        assert (clients.failures, code) == ([], 0)
        assert set(clients.answers) == {200}
        assert clients.closing > 0
        slowest, total = max(slowest, seconds), total + clients.answers.total()
    print(f"{total} answers, ended {slowest:.2f} s after the last one at most")
    assert slowest < 1.0 + _BUSY


def test_a_stop_that_waits_for_nobody_loses_requests(write: Write, serve: Launch) -> None:
    """The control: sooner or later one comes while something is being answered."""
    write(APP, a=b"a")
    for _ in range(_STOPS):
        clients, _seconds, code = stop(serve, "--timeout-graceful-shutdown", "0")
        if code:
            break
    assert code == 1
    assert clients.lost or set(clients.answers) != {200}


def test_readiness_is_gone_within_a_tenth_of_a_second(write: Write, serve: Launch) -> None:
    write(APP, a=b"a")
    process = serve("--workers", "4", "--drain-delay", "2")
    with Clients(process.url) as clients, httpx2.Client(base_url=process.url) as client:
        clients.wait_for_answers(_CLIENTS)
        assert client.get("/readyz").json() is True
        began = time.monotonic()
        process.send(signal.SIGTERM)
        while client.get("/readyz").json():
            pass
        seconds = time.monotonic() - began
        assert process.wait() == 0
    print(f"not ready after {seconds * 1e3:.0f} ms")
    assert clients.lost == []
    assert seconds < 0.1 + _BUSY / 2
