"""One process has a model, for all workers of a server."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from loadonce import lock_directory

from .test_other_servers import _commands, _free_port, await_start
from .test_reloads import order
from .test_workers import Load, children_of, is_alive, until, workers_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

Launch = Callable[..., Any]
Write = Callable[..., Path]

_MEBIBYTE = 2**20

APP = """
import os
import numpy as np
from fastapi import Request
from loadonce.http import install

def noted(source: Source) -> list[bytes]:
    for pid in (HERE / "notes.txt").read_text().split() if (HERE / "notes.txt").exists() else ():
        if pid.isdigit() and Path("/proc", pid).exists():
            note(f"beside {pid}")
    note(f"loaded by {os.getpid()}")
    return [bytes(source.data)]

class Models(Registry):
    a: Model[list[bytes]] = artifact(
        "a.bin", loader=noted, placement="process", close=lambda _value: note("closed")
    )

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
install(app, models)
Asked = Annotated[Handle[list[bytes]], Depends(models.a)]

def owner_pid(value: list[bytes]) -> int:
    return os.getpid()

def sizes(value: list[bytes], items: list[int]) -> list[int]:
    time.sleep(0.005)
    return [len(items) for _ in items]

def doubled(value: list[bytes], array: np.ndarray) -> np.ndarray:
    return array * 2

@app.get("/pids")
async def pids(model: Asked) -> tuple[int, int]:
    return os.getpid(), await model.run(owner_pid)

@app.get("/batch")
async def batch(model: Asked, item: int = 0) -> int:
    return await model.batch(sizes, item)

@app.get("/array")
async def array(model: Asked) -> float:
    return float((await model.run(doubled, np.ones(100_000))).sum())

@app.get("/reports")
async def reports(request: Request) -> list[dict[int, int]]:
    overview = request.state.loadonce_overview()
    return [dict(each.models["a"].statistics.batch_sizes) for each in overview.reports]

@app.get("/descriptors")
async def descriptors() -> tuple[int, int]:
    return os.getpid(), len(os.listdir("/proc/self/fd"))
"""


def found_in(directory: Path) -> str:
    """A PYTHONPATH with this directory first."""
    return os.pathsep.join([str(directory), *filter(None, [os.environ.get("PYTHONPATH")])])


def loads(directory: Path) -> list[int]:
    """The processes that have loaded, in order."""
    return [
        int(pid) for pid in re.findall(r"loaded by (\d+)", (directory / "notes.txt").read_text())
    ]


def pids(process: Any, workers: int) -> tuple[dict[int, int], int]:
    """How often each worker answered, and the one owner."""
    found: Counter[int] = Counter()
    owners: set[int] = set()
    deadline = time.monotonic() + 30
    while len(found) < workers:
        assert time.monotonic() < deadline
        worker, owner = process.get("/pids").json()
        found[worker] += 1
        owners.add(owner)
    (owner,) = owners
    return found, owner


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def pss(pid: int) -> float:
    """Its share of memory, in MiB."""
    found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert found
    return int(found[1]) / 1024


def memories(pid: int) -> int:
    """How many pieces of memory for calls a process has."""
    return Path(f"/proc/{pid}/maps").read_text().count("loadonce-calls")


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
def test_other_servers_have_it_in_a_child_that_ends_with_them(
    write: Write, launch: Launch, tmp_path: Path, server: str
) -> None:
    write(APP, a=b"hello")
    port = _free_port()
    process = launch(*_commands(port)[server], PYTHONPATH=found_in(tmp_path))
    await_start(process)
    worker, owner = httpx2.get(f"http://127.0.0.1:{port}/pids", timeout=30).json()
    assert loads(tmp_path) == [owner]
    (keeper,) = children_of(worker)
    assert owner in children_of(keeper)
    process.stop(signal.SIGTERM)
    until(lambda: not (is_alive(owner) or is_alive(keeper)))


def test_nothing_outlives_a_killed_server(write: Write, launch: Launch, tmp_path: Path) -> None:
    write(APP, a=b"hello")
    port = _free_port()
    process = launch(*_commands(port)["uvicorn"], PYTHONPATH=found_in(tmp_path))
    await_start(process)
    worker, owner = httpx2.get(f"http://127.0.0.1:{port}/pids", timeout=30).json()
    (keeper,) = children_of(worker)
    process.send(signal.SIGKILL)
    until(lambda: not (is_alive(owner) or is_alive(keeper)))


def test_four_workers_have_one_copy_and_batches_gather_across_them(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(APP, a=os.urandom(64 * _MEBIBYTE))
    process = serve("--workers", "4")
    workers, owner = pids(process, 4)
    assert loads(tmp_path) == [owner]
    assert pss(owner) > 64
    assert max(pss(worker) for worker in workers) < 64  # none has a copy
    with ThreadPoolExecutor(16) as pool, httpx2.Client(timeout=30) as client:
        asked = [f"{process.url}/batch" for _ in range(200)]
        largest = max(pool.map(lambda url: int(client.get(url).text), asked))
    assert largest > 4  # more than fits into the workers one by one, were they alone
    counted: Counter[int] = Counter()

    def is_counted() -> bool:
        counted.clear()
        for report in process.get("/reports").json():
            counted.update({int(size): count for size, count in report.items()})
        return sum(size * count for size, count in counted.items()) == 200

    until(is_counted)  # each once, by whichever worker was told
    assert max(counted) > 4
    assert process.stop() == 0
    assert not is_alive(owner)
    assert "closed" in (tmp_path / "notes.txt").read_text()  # before the server has ended


def test_a_killed_owner_costs_its_calls_only_and_is_back_with_one_load(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(APP, a=b"hello")
    process = serve("--workers", "2")
    workers, owner = pids(process, 2)
    with Load(process.url, 8, "/batch") as load:
        load.wait_for_answers(50)
        os.kill(owner, signal.SIGKILL)
        until(lambda: len(loads(tmp_path)) == 2)
        load.wait_for_answers(200)
    assert set(load.answers) <= {200, 503}
    assert load.failures == []
    assert load.answers[503] > 0
    found, successor = pids(process, 2)
    assert loads(tmp_path) == [owner, successor]
    assert set(found) == set(workers)
    assert re.search(
        r'"the process of a model died", "model": "a", "cause": "SIGKILL"', process.output
    )
    assert process.stop() == 0


@pytest.mark.parametrize("calls", [200, pytest.param(2000, marks=pytest.mark.nightly)])
def test_nothing_leaks_in_many_calls_and_five_deaths(
    write: Write, serve: Launch, tmp_path: Path, calls: int
) -> None:
    write(APP, a=b"hello")
    process = serve()
    process.get("/array")
    worker, before = process.get("/descriptors").json()
    count = memories(worker)
    assert count > 0  # the control: they are seen
    for number in range(5):
        with httpx2.Client(base_url=process.url, timeout=30) as client:
            for _ in range(calls // 5):
                assert client.get("/array").json() == 200_000
            os.kill(client.get("/pids").json()[1], signal.SIGKILL)
        until(lambda number=number: len(loads(tmp_path)) == number + 2)  # type: ignore[misc]
        until(lambda: process.get("/pids").status_code == 200)
    until(lambda: process.get("/descriptors").json() == [worker, before])
    assert memories(worker) == count
    assert process.stop() == 0


def test_a_reload_brings_a_new_owner_and_ends_the_old_one(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(APP, a=b"hello")
    process = serve("--workers", "2")
    _found, owner = pids(process, 2)
    process.send(signal.SIGHUP)
    process.wait_for("the former generation has ended")
    _found, successor = pids(process, 2)
    assert loads(tmp_path) == [owner, successor]
    assert "beside a model with placement='process'" in order(process, "rollback")["reason"]
    assert f"beside {owner}" in (tmp_path / "notes.txt").read_text()  # no request waits for it
    until(lambda: not is_alive(owner))
    assert process.stop() == 0
    until(lambda: not is_alive(successor))


def test_the_memory_policy_never_has_a_model_in_two_processes(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(APP, a=b"hello")
    process = serve("--workers", "2", "--reload-policy", "memory")
    _found, owner = pids(process, 2)
    process.send(signal.SIGHUP)
    process.wait_for("the former generation has ended")
    assert "reload policy 'memory': ending the generation that serves" in process.output
    _found, successor = pids(process, 2)
    assert loads(tmp_path) == [owner, successor]
    assert f"beside {owner}" not in (tmp_path / "notes.txt").read_text()
    assert process.stop() == 0


def test_a_killed_keeper_is_replaced_with_all_of_its_generation(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(APP, a=b"hello")
    process = serve("--workers", "2")
    _found, owner = pids(process, 2)
    keeper = parent_of(owner)
    os.kill(keeper, signal.SIGKILL)
    process.wait_for("the former generation has ended")
    _found, successor = pids(process, 2)
    assert loads(tmp_path) == [owner, successor]
    assert not is_alive(owner)
    assert process.stop() == 0


@pytest.mark.nightly  # it is given 8 seconds
def test_a_keeper_that_stands_still_is_replaced_when_it_is_needed(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(APP, a=b"hello")
    process = serve("--workers", "2")
    _found, owner = pids(process, 2)
    os.kill(parent_of(owner), signal.SIGSTOP)
    assert process.get("/pids").status_code == 200  # the control: its owner goes on
    assert "is stuck" not in process.output
    os.kill(owner, signal.SIGKILL)
    process.wait_for("the keeper of models' processes is stuck, killing it")
    process.wait_for("the former generation has ended")
    _found, successor = pids(process, 2)
    assert loads(tmp_path) == [owner, successor]
    assert process.stop() == 0


def test_a_killed_keeper_is_replaced_under_other_servers_too(
    write: Write, launch: Launch, tmp_path: Path
) -> None:
    write(APP, a=b"hello")
    port = _free_port()
    process = launch(*_commands(port)["uvicorn"], PYTHONPATH=found_in(tmp_path))
    await_start(process)
    worker, owner = process.get("/pids").json()
    owners = [owner]
    with Load(process.url, 4, "/batch") as load:
        for _ in range(2):
            load.wait_for_answers(20)
            os.kill(parent_of(owners[-1]), signal.SIGKILL)
            until(lambda: len(loads(tmp_path)) == len(owners) + 1)
            until(lambda: process.get("/pids").status_code == 200)
            owners.append(process.get("/pids").json()[1])
            assert not is_alive(owners[-2])
        load.wait_for_answers(20)
    assert set(load.answers) == {200, 503}
    assert load.failures == []
    assert loads(tmp_path) == owners  # one load each time
    assert process.get("/pids").json() == [worker, owners[-1]]
    assert process.output.count("the keeper of models' processes died, another starts") == 2
    keeper = parent_of(owners[-1])
    assert children_of(worker) == {keeper}
    process.stop(signal.SIGTERM)
    until(lambda: not (is_alive(owners[-1]) or is_alive(keeper)))


def test_what_cannot_be_loaded_there_stops_the_start_with_one_message(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    models = write(APP, a=b"hello")
    (models / "a.bin").write_bytes(b"other")
    process = serve("--workers", "2")
    assert process.wait() == 3
    assert process.output.count("start-up stopped: 1 model failed") == 1
    assert "model 'a' (a.bin)" in process.output


CRASHING = """
import ctypes, os, resource
from loadonce.http import install

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

def noted(source: Source) -> str:
    note(f"loaded by {os.getpid()}")
    return text(source)

class Models(Registry):
    bad: Model[str] = artifact("bad.bin", loader=noted, placement="process")
    good: Model[str] = artifact("good.bin", loader=text, placement="process")

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
    return await model.run(crash)

@app.get("/reload")
async def reload() -> None:
    await models.bad.reload()
"""

ISOLATED = "urn:problem-type:loadonce:quarantined"


def crash_until_isolated(get: Callable[[str], httpx2.Response]) -> None:
    """Ask until it is refused; the other model serves all the time."""
    deadline = time.monotonic() + 60
    while (answer := get("/bad")).json()["type"] != ISOLATED:
        assert answer.status_code == 503
        assert time.monotonic() < deadline
        assert get("/good").json() == "good"
        time.sleep(0.02)


def is_isolated(get: Callable[[str], httpx2.Response]) -> bool:
    answer, ready = get("/bad"), get("/readyz")
    return (
        (answer.status_code, answer.json()["type"]) == (503, ISOLATED)
        and "Retry-After" not in answer.headers
        and ready.json() == {"status": "degraded", "models": {"bad": "failed", "good": "ready"}}
        and ready.status_code == 200
        and get("/good").json() == "good"
    )


def mend(directory: Path) -> None:
    (directory / "models" / "bad.bin").write_bytes(b"mended")
    lock_directory(directory / "models")


def test_a_version_that_crashes_its_owner_is_isolated_until_another_comes(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(CRASHING, bad=b"bad", good=b"good")
    process = serve("--workers", "2")
    crash_until_isolated(process.get)
    assert process.output.count('"the process of a model died", "model": "bad"') == 5
    assert '"model quarantined: it crashes its process", "model": "bad"' in process.output
    until(lambda: all(is_isolated(process.get) for _ in range(8)))  # both workers
    assert len(loads(tmp_path)) == 5
    os.kill(workers_of(process)[1], signal.SIGKILL)  # its successor knows it too
    process.wait_for('"cause": "SIGKILL"')
    until(lambda: all(map(is_alive, workers_of(process).values())))
    assert all(is_isolated(process.get) for _ in range(8))
    process.send(signal.SIGHUP)  # the same version: the control
    process.wait_for("the former generation has ended")
    assert all(is_isolated(process.get) for _ in range(4))
    assert len(loads(tmp_path)) == 5  # nobody tried it again
    mend(tmp_path)
    process.send(signal.SIGHUP)
    until(lambda: process.output.count("the former generation has ended") == 2)
    assert process.get("/bad").json() == "mended"
    assert process.get("/readyz").json()["status"] == "ok"
    assert process.stop() == 0


def test_other_servers_isolate_it_too(write: Write, launch: Launch, tmp_path: Path) -> None:
    write(CRASHING, bad=b"bad", good=b"good")
    port = _free_port()
    process = launch(*_commands(port)["uvicorn"], PYTHONPATH=found_in(tmp_path))
    await_start(process)
    crash_until_isolated(process.get)
    assert len(loads(tmp_path)) == 5
    assert all(is_isolated(process.get) for _ in range(4))
    assert process.get("/reload").status_code == 503  # the same version: the control
    assert len(loads(tmp_path)) == 5
    mend(tmp_path)
    assert process.get("/reload").status_code == 200
    assert process.get("/bad").json() == "mended"
    assert process.get("/readyz").json()["status"] == "ok"
    process.stop(signal.SIGTERM)
