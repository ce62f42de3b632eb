"""N workers hold one copy of the models: what they take together, in proportional pages."""

from __future__ import annotations

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

pytestmark = [pytest.mark.integration, pytest.mark.alone, pytest.mark.timeout(600)]

APP = """
import numpy as np
from pydantic import BaseModel

class Models(Registry):
    forest: Model[Classifier] = artifact("forest.joblib", fork=FORK)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)

class Row(BaseModel):
    values: list[float]

def probabilities(forest: Classifier, rows: list[Row]) -> list[float]:
    return forest.predict_proba(np.array([row.values for row in rows]))[:, 1].tolist()

@app.post("/predict")
async def predict(row: Row, forest: Annotated[Handle[Classifier], Depends(models.forest)]) -> float:
    return await forest.batch(probabilities, row)
"""
ASKED = 2000
MB = 1_000_000
_COLUMNS = 8
_NODE_BYTES = 80

Launch = Callable[..., Any]
Write = Callable[..., Path]


def forest_of(size: int) -> ExtraTreesClassifier:
    """One of about so many bytes. Labels that mean nothing make its trees large."""
    random = np.random.default_rng(0)
    rows = size // 20 // _NODE_BYTES * 3 // 4
    features = random.normal(size=(rows, _COLUMNS))
    labels = random.integers(0, 2, rows)
    forest = ExtraTreesClassifier(20, random_state=0, n_jobs=2).fit(features, labels)
    forest.n_jobs = None
    held = sum(tree.tree_.node_count for tree in forest.estimators_) * _NODE_BYTES
    assert 0.8 * size < held < 1.4 * size
    return forest


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A forest of 60 MB, as joblib writes it."""
    path = tmp_path_factory.mktemp("forest") / "forest.joblib"
    joblib.dump(forest_of(60 * MB), path)
    return path.read_bytes()


@pytest.fixture
def measure(write: Write, serve: Launch) -> Callable[..., int]:
    """`measure(forest, "--workers", "2", asked=10)`: the bytes that all processes of such a server
    hold once each worker has answered so many requests."""

    def proportional(
        forest: bytes, *arguments: str, workers: int, asked: int, fork: str = "inherit"
    ) -> int:
        models = write(APP.replace("FORK", repr(fork)))
        (models / "forest.joblib").write_bytes(forest)
        lock_directory(models)
        process = serve("--workers", str(workers), *arguments)
        ask(process.url, workers, asked)
        total = held_by({process.popen.pid, *children_of(process.popen.pid)})
        assert process.stop() == 0
        return total

    return proportional


def held_by(family: set[int]) -> int:
    """The bytes that these processes hold together; who else maps the same libraries is no part
    of it: of the pages of files, those of the one that has most of them."""
    found = [rollup_of(pid) for pid in family]
    own = sum(each["Pss_Anon"] + each["Pss_Shmem"] for each in found)
    return own + max(each["Rss"] - each["Anonymous"] for each in found)


def rollup_of(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}


def ask(url: str, workers: int, asked: int) -> None:
    """Predictions over connections that are spread evenly over the workers."""
    failures: list[object] = []

    def client(seed: int) -> None:
        random = np.random.default_rng(seed)
        with httpx2.Client(timeout=60) as asking:
            for _ in range(asked // 2):
                row = {"values": random.normal(size=_COLUMNS).tolist()}
                answer = asking.post(f"{url}/predict", json=row)
                if answer.status_code != 200:
                    failures.append(answer)

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(2 * workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_further_worker_costs_a_part_of_the_model(
    measure: Callable[..., int], small: bytes
) -> None:
    two = measure(small, workers=2, asked=50)
    four = measure(small, workers=4, asked=50)
    assert (four - two) / 2 < 30 * MB


def test_a_further_worker_that_loads_for_itself_costs_all_of_it(
    measure: Callable[..., int], small: bytes
) -> None:
    """The control."""
    two = measure(small, workers=2, asked=50, fork="after")
    three = measure(small, workers=3, asked=50, fork="after")
    assert three - two > 60 * MB


def test_a_further_worker_of_a_whole_app_costs_little(serve: Launch) -> None:
    """VitalCheck, eleven models of which run their golden examples in each worker."""

    def held(workers: int) -> int:
        process = serve("--factory", "--workers", str(workers), target="vitalcheck.app:create_app")
        assert process.get("/readyz").status_code == 200
        total = held_by({process.popen.pid, *children_of(process.popen.pid)})
        assert process.stop() == 0
        return total

    # 14; where others run while the models load, objects lie less close together
    assert (held(6) - held(2)) / 4 < 17 * MB


@pytest.mark.nightly
def test_four_workers_take_little_more_than_one(
    measure: Callable[..., int], tmp_path: Path
) -> None:
    joblib.dump(forest_of(300 * MB), tmp_path / "forest.joblib")
    forest = (tmp_path / "forest.joblib").read_bytes()
    began = time.monotonic()
    alone = measure(forest, "--no-fork", workers=1, asked=ASKED)
    totals = {workers: measure(forest, workers=workers, asked=ASKED) for workers in (1, 4, 8)}
    ratios = {workers: total / alone for workers, total in totals.items()}
    print(f"{alone / MB:.0f} MB alone; {ratios} of it, {time.monotonic() - began:.0f} s")
    assert ratios[4] <= 1.12
    assert ratios[8] <= 1.2
