"""A version that crashes its workers serves no more; everything else does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from loadonce import lock_directory

from .test_workers import Load, children_of, is_alive, until, workers_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

Launch = Callable[..., Any]
Write = Callable[..., Path]

APP = """
import ctypes, os, resource
from loadonce.http import install

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

class Models(Registry):
    bad: Model[str] = artifact(
        "bad.bin", loader=text, placement=os.environ["PLACEMENT"], fork=os.environ["FORK"]
    )
    good: Model[str] = artifact("good.bin", loader=text, placement="thread")

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
install(app, models)

def crash(value: str) -> str:
    if value == "bad":
        ctypes.string_at(0)
    return value

@app.get("/bad")
async def bad(model: Annotated[Handle[str], Depends(models.bad)]) -> str:
    return await model.run(crash)

@app.get("/good")
async def good(model: Annotated[Handle[str], Depends(models.good)]) -> str:
    await model.run(lambda value: time.sleep(0.02))
    return model.value

@app.get("/handler")
async def handler() -> None:
    ctypes.string_at(0)
"""


def ask(process: Any, path: str) -> int:
    """The status of the answer; 0 if there was none."""
    try:
        return int(process.get(path).status_code)
    except httpx2.HTTPError:
        return 0


@pytest.mark.parametrize(("placement", "fork"), [("thread", "inherit"), ("inline", "after")])
def test_a_version_that_crashes_its_workers_is_isolated_until_another_comes(
    write: Write, serve: Launch, tmp_path: Path, placement: str, fork: str
) -> None:
    write(APP, bad=b"bad", good=b"good")
    process = serve("--workers", "2", PLACEMENT=placement, FORK=fork)
    with Load(process.url, 4, "/good") as load:  # it is in a call when the other crashes
        load.wait_for_answers(8)
        deadline = time.monotonic() + 40
        while (status := ask(process, "/bad")) == 0:
            assert time.monotonic() < deadline, process.output
        load.wait_for_answers(8)
        before = len(load.failures)
        assert status == 503
        assert process.output.count('"message": "worker died"') == 5
        assert '"model quarantined: it crashes its workers", "model": "bad"' in process.output
        until(lambda: len(children_of(process.popen.pid)) == 3)

        def is_isolated() -> bool:
            answer, ready = process.get("/bad"), process.get("/readyz")
            assert answer.json()["type"] == "urn:problem-type:loadonce:quarantined"
            assert ready.json() == {
                "status": "degraded",
                "models": {"bad": "failed", "good": "ready"},
            }
            return bool(answer.status_code == 503 and ready.status_code == 200)

        assert all(is_isolated() for _ in range(8))
        os.kill(workers_of(process)[1], signal.SIGKILL)  # its successor knows it too
        process.wait_for('"cause": "SIGKILL"')
        load.wait_for_answers(8)
        until(lambda: all(map(is_alive, workers_of(process).values())))
        assert all(is_isolated() for _ in range(8))
        process.send(signal.SIGHUP)  # the same version: the control
        process.wait_for("the former generation has ended")
        assert all(is_isolated() for _ in range(4))
        (tmp_path / "models" / "bad.bin").write_bytes(b"mended")
        lock_directory(tmp_path / "models")
        process.send(signal.SIGHUP)
        until(lambda: process.output.count("the former generation has ended") == 2)
        assert process.get("/bad").json() == "mended"
        assert process.get("/readyz").json()["status"] == "ok"
        load.wait_for_answers(8)
    assert set(load.answers) == {200}
    assert len(load.failures) - before <= 4  # what the killed worker was answering
    assert process.output.count('"message": "worker died"') == 6
    assert process.stop() == 0


def test_crashes_outside_of_every_model_isolate_none(write: Write, serve: Launch) -> None:
    write(APP, bad=b"bad", good=b"good")
    process = serve("--workers", "2", PLACEMENT="inline", FORK="inherit")
    deadline = time.monotonic() + 60
    while process.output.count('"cause": "SIGSEGV"') < 5:
        assert time.monotonic() < deadline
        ask(process, "/handler")
    assert process.get("/good").json() == "good"
    assert "quarantined" not in process.output
    assert '"in_call"' not in process.output
    assert process.stop() == 0
