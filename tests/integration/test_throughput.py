"""A second worker does as much as the first: what a prediction costs does not grow with it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
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


def ask(url: str) -> float:
    """Ask with all clients; the seconds that took."""
    failures: list[object] = []
    together = threading.Barrier(CLIENTS + 1)

    def client(number: int) -> None:
        with httpx2.Client(timeout=60) as asking:
            asking.get(f"{url}/alone?value={number}")
            together.wait()
            for count in range(ASKED):
                answer = asking.get(f"{url}/alone?value={number + count}")
                if answer.status_code != 200:
                    failures.append(answer)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    together.wait()
    began = time.monotonic()
    for thread in threads:
        thread.join()
    assert failures == []
    return time.monotonic() - began


def processor_seconds(pids: set[int]) -> float:
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def cost(serve: Launch, workers: int) -> float:
    """Seconds of a processor for each prediction."""
    process = serve("--workers", str(workers))
    ask(process.url)
    pids = children_of(process.popen.pid)
    before = processor_seconds(pids)
    ask(process.url)
    spent = processor_seconds(pids) - before
    assert process.stop() == 0
    return spent / (CLIENTS * (ASKED + 1))


@pytest.mark.usefixtures("app")
def test_a_prediction_costs_two_workers_no_more_than_one(serve: Launch) -> None:
    assert cost(serve, 2) < 1.3 * cost(serve, 1)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core")
@pytest.mark.usefixtures("app")
def test_two_workers_do_nearly_twice_as_much(serve: Launch) -> None:
    """On a machine with nothing else to do; the best of several rounds, taken in turns."""
    one, two = serve("--workers", "1"), serve("--workers", "2")
    rounds = [(ask(one.url), ask(two.url)) for _ in range(8)]
    assert min(one for one, _two in rounds) / min(two for _one, two in rounds) >= 1.7
