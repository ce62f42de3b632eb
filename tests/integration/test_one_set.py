"""One generation serves one set of versions, whenever which worker loads what."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from loadonce import lock_directory
from loadonce.artifacts import LockFile

from .test_reloads import order
from .test_workers import Load, until, workers_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

Launch = Callable[..., Any]
Write = Callable[..., Path]

APP = """
import os

class Models(Registry):
    soon: Model[str] = artifact("soon.bin", loader=text)
    rare: Model[str] = artifact("rare.bin", loader=text, when="first_use", timeout=None)
    apart: Model[str] = artifact("apart.bin", loader=text, when="first_use", placement="process")

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)

def itself(value: str) -> str:
    return value

@app.get("/pid")
async def pid() -> int:
    return os.getpid()

@app.get("/{name}")
async def ask(name: str) -> str:
    async with models[name].lease() as handle:
        return handle.version
"""


def name_versions(models: Path, version: str) -> None:
    """Lock the same bytes by another name."""
    lock = LockFile.read(models)
    for entry in lock.entries.values():
        lock = lock.with_entry(replace(entry, version=version))
    lock.write(models)


def versions(process: Any) -> set[str]:
    """Of all models in all workers."""
    asked: set[int] = set()
    found: set[str] = set()

    def has_asked_all() -> bool:
        with ExitStack() as stack:  # several connections, spread over the workers
            clients = [httpx2.Client(base_url=process.url, timeout=30) for _ in range(4)]
            for client in map(stack.enter_context, clients):
                asked.add(client.get("/pid").json())
                answers = [client.get(f"/{name}") for name in ("soon", "rare", "apart")]
                found.update(answer.raise_for_status().json() for answer in answers)
        return asked >= set(workers_of(process).values())

    until(has_asked_all)
    return found


def kill_one(process: Any) -> None:
    before = workers_of(process)
    os.kill(before[1], signal.SIGKILL)
    until(lambda: workers_of(process).get(1, before[1]) != before[1])


@pytest.fixture
def started(write: Write, serve: Launch) -> Callable[..., Any]:
    """`started(**environment)`: two workers that serve version 1, while 2 is locked by now."""

    def start(**environment: str) -> Any:
        models = write(APP, soon=b"s", rare=b"r", apart=b"a")
        name_versions(models, "1")
        process = serve("--workers", "2", **environment)
        assert process.get("/soon").json() == "1"
        name_versions(models, "2")
        return process

    return start


def test_all_workers_serve_what_was_locked_when_their_generation_was_loaded(
    started: Callable[..., Any],
) -> None:
    process = started()
    assert versions(process) == {"1"}  # each worker loads late
    kill_one(process)
    assert versions(process) == {"1"}
    assert order(process, "reload")["what"] == "ended"
    assert versions(process) == {"2"}
    assert process.stop() == 0


def test_where_each_load_reads_the_lock_file_versions_differ(started: Callable[..., Any]) -> None:
    """The control: in development nothing is fixed."""
    process = started(LOADONCE_DEVELOPMENT="1")
    assert versions(process) == {"1", "2"}
    assert process.stop() == 0


def test_a_worker_that_cannot_have_what_the_others_have_makes_all_load_anew(
    started: Callable[..., Any], tmp_path: Path
) -> None:
    process = started()
    assert versions(process) == {"1"}
    (tmp_path / "models" / "rare.bin").write_bytes(b"other")
    lock_directory(tmp_path / "models")
    name_versions(tmp_path / "models", "3")
    with Load(process.url, 4, "/soon") as load:
        load.wait_for_answers(20)
        os.kill(workers_of(process)[1], signal.SIGKILL)
        process.wait_for("was locked anew after the models were loaded")
        process.wait_for("the former generation has ended")
        load.wait_for_answers(20)
    assert set(load.answers) == {200}
    assert len(load.failures) <= 4  # what the killed one was answering
    assert versions(process) == {"3"}
    assert process.stop() == 0
