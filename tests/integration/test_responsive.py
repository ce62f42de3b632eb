"""The event loop stays free: while models load, and while they are busy.

How long a machine shared with others takes tells little, so no figure is compared with a constant:
the same process does the same work on the event loop too, in turns, and that must stand out.
"""

from __future__ import annotations

import copy
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from loadonce import lock_directory

pytestmark = [pytest.mark.integration, pytest.mark.alone, pytest.mark.timeout(300)]

Launch = Callable[..., Any]
Write = Callable[..., Path]

_ROUNDS = 3  # of each way, in turns; the best counts: other processes can only make one look bad
_CLIENTS = 8
_INTERVAL = 0.01  # seconds between two probes

CODE = """
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import joblib

async def on_the_loop(source: Source) -> Any:
    return joblib.load(io.BytesIO(source.data))

class Models(Registry):
    forest: Model[Classifier] = artifact("forest.joblib", when="first_use")
    blocking: Model[Classifier] = artifact(
        "forest.joblib", when="first_use", loader=on_the_loop
    )

models = Models(root=HERE / "models")
lags: list[float] = []

async def watch() -> None:
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.005)
        lags.append(time.monotonic() - before - 0.005)

@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with models.running(app):
        watching = asyncio.create_task(watch())
        yield
        watching.cancel()

app = FastAPI(lifespan=lifespan)

@app.get("/probe")
async def probe() -> None:
    pass

@app.post("/load/{name}")
async def load(name: str) -> None:
    await models[name].reload()

@app.delete("/lags")
async def forget() -> None:
    lags.clear()

@app.get("/lags")
async def tell() -> list[float]:
    return lags

def predict(forest: Classifier) -> float:
    return float(forest.predict_proba([[0.1] * 8])[0][1])

@app.get("/off-loop")
async def off_loop(model: Annotated[Handle[Classifier], Depends(models.forest)]) -> float:
    return await model.run(predict)

@app.get("/on-loop")
async def on_loop(model: Annotated[Handle[Classifier], Depends(models.forest)]) -> float:
    return predict(model.value)
"""


@pytest.fixture(scope="module")
def forest() -> RandomForestClassifier:
    """A forest of 15 MB as a pickle."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(2000, 8))
    labels = (rows[:, 0] + random.normal(size=2000) > 0).astype(int)
    return RandomForestClassifier(300, random_state=0).fit(rows, labels)


def _grown(forest: RandomForestClassifier, times: int) -> RandomForestClassifier:
    grown = copy.copy(forest)  # copies of the trees, or the pickle would share them
    grown.estimators_ = [copy.deepcopy(tree) for _ in range(times) for tree in forest.estimators_]
    return grown


@pytest.fixture
def server(write: Write, serve: Launch) -> Callable[[RandomForestClassifier], Any]:
    """`server(forest)` serves it."""

    def start(forest: RandomForestClassifier) -> Any:
        models = write(CODE)
        joblib.dump(forest, models / "forest.joblib")
        lock_directory(models)
        return serve("--no-fork")  # where `reload` loads in the process that serves

    return start


@contextmanager
def _probing(url: str) -> Iterator[list[float]]:
    """Ask /probe again and again; the times of the answers."""
    answered: list[float] = []
    has_begun, is_over = threading.Event(), threading.Event()

    def probe() -> None:
        with httpx2.Client(timeout=60) as client:
            while not is_over.wait(_INTERVAL):
                assert client.get(f"{url}/probe").status_code == 200
                answered.append(time.monotonic())
                has_begun.set()

    with ThreadPoolExecutor(1) as pool:
        probing = pool.submit(probe)
        try:
            has_begun.wait(30)
            yield answered
        finally:
            is_over.set()
            probing.result()


def _silence(url: str, name: str) -> float:
    """The longest time without an answer while a model loads, in seconds."""
    with _probing(url) as answered:
        began = time.monotonic()
        assert httpx2.post(f"{url}/load/{name}", timeout=60).status_code == 200
        ended = time.monotonic()
    times = [began, *(when for when in answered if began < when < ended), ended]
    longest = max(after - before for before, after in itertools.pairwise(times))
    print(f"{name}: silent for {longest * 1000:.0f} of {(ended - began) * 1000:.0f} ms")
    return longest


@pytest.mark.parametrize("times", [4, pytest.param(20, marks=pytest.mark.nightly)])
def test_requests_are_answered_while_a_model_loads(
    server: Callable[[RandomForestClassifier], Any], forest: RandomForestClassifier, times: int
) -> None:
    """A load off the loop lets requests through, one on the loop none."""
    process = server(_grown(forest, times))
    pairs = [
        (_silence(process.url, "forest"), _silence(process.url, "blocking")) for _ in range(_ROUNDS)
    ]
    off_loop, on_loop = (min(silences) for silences in zip(*pairs, strict=True))
    assert off_loop < on_loop / 2, pairs
    assert process.stop() == 0


def _lag(url: str, path: str) -> float:
    """How late the loop is while all clients ask for predictions, seen from a random moment: each
    delay counts by its length."""
    httpx2.delete(f"{url}/lags", timeout=60)

    def ask(_client: int) -> None:
        with httpx2.Client(timeout=60) as client:
            for _ in range(5):
                assert client.get(url + path).status_code == 200

    with ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(ask, range(_CLIENTS)))
    lags: list[float] = httpx2.get(f"{url}/lags", timeout=60).json()
    lag = sum(each**2 for each in lags) / sum(lags)
    print(f"{path}: {lag * 1000:.1f} ms")
    return lag


def test_the_loop_lags_little_beside_a_busy_model(
    server: Callable[[RandomForestClassifier], Any], forest: RandomForestClassifier
) -> None:
    """Beside the same predictions on the loop, requests that wait for a thread delay nobody."""
    process = server(forest)
    process.get("/off-loop")
    pairs = [
        (_lag(process.url, "/off-loop"), _lag(process.url, "/on-loop")) for _ in range(_ROUNDS)
    ]
    off_loop, on_loop = (min(lags) for lags in zip(*pairs, strict=True))
    assert off_loop < on_loop / 2, pairs
    assert process.stop() == 0
