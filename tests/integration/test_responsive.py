"""The event loop stays free: while models load, and while they are busy."""

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

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

Launch = Callable[..., Any]
Write = Callable[..., Path]

_INTERVAL = 0.01  # seconds between two probes
_ATTEMPTS = 4  # other processes can make one look bad, none can make it look good

LOADING = """
import io
import joblib
from loadonce.http import install

def sleeping(source: Source) -> str:
    time.sleep(SLEEP)
    return "slow"

async def on_the_loop(source: Source) -> Any:
    await probing.wait()
    return joblib.load(io.BytesIO(source.data))

class Models(Registry):
    quick: Model[str] = artifact("quick.bin", loader=text)
    forest: Model[Classifier] = artifact("forest.joblib", when="background", loader=LOADER)
    slow: Model[str] = artifact("slow.bin", when="background", loader=sleeping)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
install(app, models)
probing = asyncio.Event()

@app.get("/quick")
async def quick(model: Annotated[Handle[str], Depends(models.quick)]) -> str:
    probing.set()
    return await model.run(lambda value: value)
"""

BUSY = """
class Models(Registry):
    forest: Model[Classifier] = artifact("forest.joblib")

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
lags: list[float] = []

async def watch() -> None:
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.005)
        lags.append(time.monotonic() - before - 0.005)

@app.post("/watch")
async def start() -> None:
    app.state.task = asyncio.create_task(watch())

@app.get("/lag")
async def lag() -> float:
    return sorted(lags)[int(len(lags) * 0.99)]

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
    trees = list(itertools.chain.from_iterable([forest.estimators_] * times))
    grown = copy.copy(forest)
    grown.estimators_ = [copy.deepcopy(tree) for tree in trees]  # or the pickle would share them
    return grown


def _prepare(write: Write, code: str, forest: RandomForestClassifier) -> None:
    models = write(code, quick=b"quick", slow=b"slow")
    joblib.dump(forest, models / "forest.joblib")
    lock_directory(models)


@contextmanager
def _probing(url: str) -> Iterator[list[float]]:
    """Ask /livez at fixed times; a late answer counts from when it should have been asked."""
    late: list[float] = []
    is_over = threading.Event()

    def probe() -> None:
        with httpx2.Client() as client:
            due = time.monotonic()
            while not is_over.is_set():
                time.sleep(max(0.0, due - time.monotonic()))
                assert client.get(f"{url}/livez", timeout=60).status_code == 200
                late.append(time.monotonic() - due)
                due += _INTERVAL

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield late
    finally:
        is_over.set()
        thread.join()


def _livez_p99(serve: Launch) -> float:
    process = serve()
    with _probing(process.url) as late:
        assert process.get("/quick").json() == "quick"
        process.wait_for(r'model ready", "model": "forest"', 200)
        assert '"model": "slow"' not in process.output
    assert process.stop() == 0
    return sorted(late)[int(len(late) * 0.99)]


@pytest.mark.parametrize(
    ("times", "sleep"), [(2, 10), pytest.param(20, 60, marks=pytest.mark.nightly)]
)
def test_probes_are_answered_at_once_while_models_load(
    write: Write, serve: Launch, forest: RandomForestClassifier, times: int, sleep: int
) -> None:
    code = LOADING.replace("SLEEP", str(sleep)).replace("LOADER", "None")
    _prepare(write, code, _grown(forest, times))
    measured = list(itertools.takewhile(lambda p99: p99 > 0.05, _repeat(_livez_p99, serve)))
    assert len(measured) < _ATTEMPTS, measured


def test_loading_on_the_loop_would_be_noticed(
    write: Write, serve: Launch, forest: RandomForestClassifier
) -> None:
    code = LOADING.replace("SLEEP", "30").replace("LOADER", "on_the_loop")
    _prepare(write, code, _grown(forest, 2))
    assert _livez_p99(serve) > 0.05


def _lag_p99(serve: Launch, path: str) -> float:
    process = serve()
    url = process.url
    httpx2.post(f"{url}/watch")
    ends = time.monotonic() + 3

    def ask() -> None:
        with httpx2.Client() as client:
            while time.monotonic() < ends:
                assert client.get(url + path, timeout=60).status_code == 200

    with ThreadPoolExecutor(16) as pool:
        for asked in [pool.submit(ask) for _ in range(16)]:
            asked.result()
    lag = float(process.get("/lag").text)
    assert process.stop() == 0
    return lag


def test_the_loop_lags_little_beside_a_busy_model(
    write: Write, serve: Launch, forest: RandomForestClassifier
) -> None:
    _prepare(write, BUSY, forest)
    lags = _repeat(lambda start: _lag_p99(start, "/off-loop"), serve)
    measured = list(itertools.takewhile(lambda p99: p99 > 0.02, lags))
    assert len(measured) < _ATTEMPTS, measured


def test_a_model_called_on_the_loop_would_be_noticed(
    write: Write, serve: Launch, forest: RandomForestClassifier
) -> None:
    _prepare(write, BUSY, forest)
    assert _lag_p99(serve, "/on-loop") > 0.02


def _repeat(measure: Callable[[Launch], float], serve: Launch) -> Iterator[float]:
    for _ in range(_ATTEMPTS):
        found = measure(serve)
        print(f"p99 {found * 1000:.1f} ms")
        yield found
