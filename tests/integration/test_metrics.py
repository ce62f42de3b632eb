"""Metrics of several workers: one page, whichever is asked, and no counter that falls."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .test_workers import Load, until, workers_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

APP = """
from loadonce.http import install

class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
install(app, models, metrics=True)

@app.get("/a")
async def a(model: Annotated[Handle[str], Depends(models.a)]) -> str:
    return await model.run(lambda value: value)
"""


def value(page: str, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", page, re.MULTILINE)
    assert found is not None, page
    return float(found[1])


def calls(page: str) -> float:
    return value(page, 'loadonce_model_calls_total{model="a"}')


def requests(page: str) -> float:
    return sum(map(float, re.findall(r"^loadonce_worker_requests_total{.*} (\S+)$", page, re.M)))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_page_tells_of_all_workers(
    write: Callable[..., Path], serve: Callable[..., Any], workers: str
) -> None:
    write(APP, a=b"a")
    process = serve("--workers", workers)
    for _ in range(20):
        assert process.get("/a").json() == "a"
    until(lambda: calls(process.get("/metrics").text) == 20)
    page = process.get("/metrics").text
    numbers = [str(number + 1) for number in range(int(workers))]
    assert re.findall(r'^loadonce_worker_restarts_total{worker="(\d)"} 0.0', page, re.M) == numbers
    assert value(page, 'loadonce_worker_memory_bytes{kind="private",worker="1"}') > 1e6
    assert value(page, 'loadonce_model_state{model="a",state="ready"}') == int(workers)
    assert process.stop() == 0


def test_no_counter_falls_while_workers_die_and_generations_change(
    write: Callable[..., Path], serve: Callable[..., Any]
) -> None:
    write(APP, a=b"a")
    process = serve("--workers", "2")
    pages: list[str] = []

    def look() -> str:
        pages.append(process.get("/metrics").text)
        return pages[-1]

    with Load(process.url, 4, "/a") as load:
        load.wait_for_answers(50)
        for fault in (signal.SIGKILL, signal.SIGHUP, signal.SIGKILL):
            before = workers_of(process)
            if fault == signal.SIGKILL:
                os.kill(before[2], fault)
                until(lambda before=before: workers_of(process)[2] != before[2])  # type: ignore[misc]
            else:
                process.send(fault)
                process.wait_for("the former generation has ended")
            load.wait_for_answers(50)
            look()
    until(lambda: calls(look()) == calls(pages[-2]))
    assert [calls(page) for page in pages] == sorted(map(calls, pages))
    assert [requests(page) for page in pages] == sorted(map(requests, pages))
    assert value(pages[-1], 'loadonce_worker_restarts_total{worker="2"}') == 3
    # What two killed workers had counted in their last second is lost, and no more than that.
    assert 0.3 * load.answers[200] < calls(pages[-1]) <= load.answers.total() + 8
    assert 'loadonce_model_state{model="a",state="ready"} 2.0' in pages[-1]
    assert process.stop() == 0
