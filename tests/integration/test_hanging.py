"""A model that hangs: its worker is replaced, other requests do not notice."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from .test_workers import is_alive, until, workers_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

_BUSY = 3.0  # seconds that a busy machine may add; without what is tested it were 20 or more

Launch = Callable[..., Any]
Write = Callable[..., Path]

APP = """
import os
from loadonce.http import install

class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text, threads=2, timeout=0.5)
    other: Model[str] = artifact("a.bin", loader=text)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
install(app, models)

@app.get("/pid")
async def pid() -> int:
    return os.getpid()

@app.get("/a")
async def a(model: Annotated[Handle[str], Depends(models.a)], seconds: float) -> int:
    await model.run(lambda value: time.sleep(seconds))
    return os.getpid()

@app.get("/other")
async def other(model: Annotated[Handle[str], Depends(models.other)]) -> int:
    def wait(value: str) -> None:
        while not (HERE / "release").exists():
            time.sleep(0.02)
    await model.run(wait)
    return os.getpid()
"""


def test_a_worker_whose_model_hangs_is_replaced_and_finishes_what_others_do(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(APP, a=b"a")
    process = serve("--workers", "2", "--worker-timeout", "2")
    clients = [httpx2.Client(base_url=process.url, timeout=25) for _ in range(4)]
    of_worker: dict[int, list[httpx2.Client]] = defaultdict(list)
    for client in clients:
        of_worker[client.get("/pid").json()].append(client)
    pid, [client, beside, *_] = max(of_worker.items(), key=lambda item: len(item[1]))
    [number] = [each for each, known in workers_of(process).items() if known == pid]
    answers: list[httpx2.Response] = []
    thread = threading.Thread(target=lambda: answers.append(beside.get("/other")))
    thread.start()

    assert client.get("/a?seconds=60").status_code == 504
    time.sleep(3.5)  # longer than a model may hang
    assert client.get("/a?seconds=0").json() == pid  # it has another thread: the control
    assert "model hangs" not in process.output
    assert client.get("/a?seconds=60").status_code == 504
    process.wait_for(
        f'"model hangs, replacing its worker", "worker": {number}, "pid": {pid}, "model": "a"'
    )
    until(lambda: workers_of(process)[number] != pid)
    for each in clients:
        if each is not beside:
            each.close()
    assert {process.get("/a?seconds=0").status_code for _ in range(8)} == {200}
    assert is_alive(pid)
    (tmp_path / "release").touch()
    thread.join(25)
    assert [answer.json() for answer in answers] == [pid]
    beside.close()
    until(lambda: not is_alive(pid))
    assert process.output.count("model hangs") == 1
    assert "worker died" not in process.output
    assert process.get("/a?seconds=60").status_code == 504
    began = time.monotonic()
    assert process.stop() == 0  # it has been answered: nothing is lost, nothing waits
    assert time.monotonic() - began < 2.0 + _BUSY
