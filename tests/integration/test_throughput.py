"""A second worker does as much as the first: what a prediction costs does not grow with it."""

from __future__ import annotations

import os
import re
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import joblib
import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from loadonce import lock_directory

from .test_workers import children_of

pytestmark = [
    pytest.mark.integration,
    pytest.mark.alone,
    pytest.mark.nightly,
    pytest.mark.timeout(600),
]

APP = """
import numpy as np

class Models(Registry):
    forest: Model[Classifier] = artifact("forest.joblib")

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)

def probability(forest: Classifier, value: float) -> float:
    return float(forest.predict_proba(np.full((1, 4), value))[0, 1])

@app.get("/alone")
async def alone(
    value: float, forest: Annotated[Handle[Classifier], Depends(models.forest)]
) -> float:
    return await forest.run(probability, value)
"""
CLIENTS = 4
ASKED = 40  # by each of them
ROUNDS = 8

Launch = Callable[..., Any]
Write = Callable[..., Path]


@pytest.fixture
def app(write: Write) -> None:
    """A forest that takes some 10 ms, for one row."""
    models = write(APP)
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(500, 4)), random.integers(0, 2, 500)
    forest = ExtraTreesClassifier(200, random_state=0, max_depth=4).fit(features, labels)
    joblib.dump(forest, models / "forest.joblib")
    lock_directory(models)


@dataclass
class Round:
    """What it took to answer all that the clients ask.

    Attributes:
        seconds: of the clock.
        workers: seconds of a processor that each took, most first; the last is what loads.
        clients: seconds of a processor that they took themselves.
        busy: how many cores had something to do.
    """

    seconds: float
    workers: list[float]
    clients: float
    busy: float


def ask(process: Any) -> Round:
    """Ask with all clients, which write the same bytes and look at the first ones of an answer:
    what they take of the two cores the workers do not have."""
    url = httpx2.URL(process.url)
    request = b"GET /alone?value=1 HTTP/1.1\r\nHost: here\r\n\r\n"
    together = threading.Barrier(CLIENTS + 1)
    answers: Counter[bytes] = Counter()

    def client() -> None:
        asked = 0
        while asked <= ASKED:
            with socket.create_connection((url.host, url.port), timeout=60) as connection:
                answer = b""
                while asked <= ASKED and b"\r\nconnection: close\r\n" not in answer:
                    connection.sendall(request)
                    answer = connection.recv(4096)
                    answers[answer[:12]] += 1
                    if asked == 0:
                        together.wait()
                    asked += 1

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    together.wait()
    pids = children_of(process.popen.pid)
    before = _clocks(pids)
    for thread in threads:
        thread.join()
    after = _clocks(pids)
    assert answers == {b"HTTP/1.1 200": CLIENTS * (ASKED + 1)}
    passed = [late - early for early, late in zip(before, after, strict=True)]
    *workers, clients, idle, seconds = passed
    return Round(seconds, sorted(workers, reverse=True), clients, _cores() - idle / seconds)


def _clocks(pids: Iterable[int]) -> list[float]:
    """Of each process, of this one, of idle cores, and the one on the wall."""
    return [*map(processor_seconds, pids), time.process_time(), idle_seconds(), time.monotonic()]


def processor_seconds(pid: int) -> float:
    """What a process has taken; the kernel's ticks are too coarse."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _cores() -> int:
    return len(re.findall(r"^cpu\d", Path("/proc/stat").read_text(), re.M))


def idle_seconds() -> float:
    """Of all cores together."""
    fields = Path("/proc/stat").read_text().split(maxsplit=5)
    return int(fields[4]) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core")
@pytest.mark.usefixtures("app")
def test_two_workers_do_nearly_twice_as_much(serve: Launch) -> None:
    """On two cores with nothing else to do. What other programs take of them meanwhile changes how
    long it lasts, and not what a prediction costs, who shares in them, nor whether a core had
    nothing to do. Rounds are taken in turns, for those programs change that too.
    """
    one, two = serve("--workers", "1"), serve("--workers", "2")
    for each in (one, two):
        ask(each)
    rounds = [(ask(one), ask(two)) for _ in range(ROUNDS)]
    answers = CLIENTS * ASKED
    cost = statistics.median(sum(of_one.workers) for of_one, _ in rounds) / answers
    costs = statistics.median(sum(of_two.workers) for _, of_two in rounds) / answers
    clients = statistics.median(of_two.clients for _, of_two in rounds) / answers
    more = 2 * cost / (costs + clients)
    busy = statistics.median(of_two.busy for _, of_two in rounds)
    # Of four connections one worker may have taken three while the other had no processor.
    least = max(of_two.workers[1] / sum(of_two.workers) for _, of_two in rounds)
    seen = statistics.median(of_one.seconds / of_two.seconds for of_one, of_two in rounds)
    print(
        f"a prediction costs one worker {cost * 1e3:.1f} ms, two {costs * 1e3:.1f} ms, its client "
        f"{clients * 1e3:.2f} ms: {more:.2f} times as many; by the clock {seen:.2f} times; "
        f"{busy:.2f} cores busy; the lesser worker's part {least:.0%} at best"
    )
    assert more >= 1.7
    assert least > 0.4
    assert busy > 1.8
    assert all(of_one.workers[1] < 0.1 * of_one.workers[0] for of_one, _ in rounds)  # the control
