"""Models that load after the start: what is served once stays served, whatever is replaced."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from loadonce import lock_directory

from .test_reloads import order
from .test_workers import Load, until, workers_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

Launch = Callable[..., Any]
Write = Callable[..., Path]

APP = """
import os
from loadonce.http import install

def load(source: Source) -> str:
    content = bytes(source.data).decode()
    while (HERE / "wait").exists():
        os.write(2, b"waiting\\n")
        time.sleep(0.05)
    if content == "raise":
        raise RuntimeError("postgres://user:secret@host")
    note(f"loaded {source.entry.path} {content}")
    return content

class Models(Registry):
    soon: Model[str] = artifact("soon.bin", loader=text)
    late: Model[str] = artifact("late.bin", loader=load, when="background", timeout=None)
    rare: Model[str] = artifact("rare.bin", loader=load, when="first_use", timeout=None)
    spare: Model[str] = artifact("spare.bin", loader=load, when="background", required=False)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
install(app, models)

def itself(value: str) -> str:
    return value

@app.get("/pid")
async def pid() -> int:
    return os.getpid()

@app.get("/{name}")
async def ask(name: str) -> str:
    async with models[name].lease() as handle:
        return await handle.run(itself)
"""

FILES = {"soon": b"1", "late": b"1", "rare": b"1", "spare": b"1"}


@pytest.fixture
def started(write: Write, serve: Launch, tmp_path: Path) -> Callable[..., Any]:
    """`started("--flag")`: two workers, each of which serves all models."""

    def start(*arguments: str, is_waiting: bool = False) -> Any:
        write(APP, **FILES)
        if is_waiting:
            (tmp_path / "wait").touch()
        process = serve("--workers", "2", *arguments)
        assert process.url
        if not is_waiting:
            ask_all(process)
        return process

    return start


Started = Callable[..., Any]


def ask_all(process: Any) -> None:
    """Ask until every worker has every model."""
    found: set[int] = set()

    def has_all() -> bool:
        with ExitStack() as stack:  # several connections, spread over the workers
            clients = [httpx2.Client(base_url=process.url, timeout=30) for _ in range(4)]
            for client in map(stack.enter_context, clients):
                pid = client.get("/pid").json()
                if all(client.get(f"/{name}").status_code == 200 for name in FILES):
                    found.add(pid)
        return found >= set(workers_of(process).values())

    until(has_all)


def lock(directory: Path, **files: bytes) -> None:
    """Other artifacts, trusted."""
    for name, content in files.items():
        (directory / "models" / f"{name}.bin").write_bytes(content)
    lock_directory(directory / "models")


def loads(directory: Path) -> Counter[str]:
    return Counter(re.findall(r"loaded (\S+ \S+)", (directory / "notes.txt").read_text()))


@pytest.mark.parametrize("name", ["late", "rare"])
def test_what_was_served_before_a_reload_is_served_after_it(
    started: Started, tmp_path: Path, name: str
) -> None:
    process = started()
    assert loads(tmp_path)["late.bin 1"] == 2  # each worker loads its own
    lock(tmp_path, late=b"2", rare=b"2")
    (tmp_path / "wait").touch()
    with Load(process.url, 8, f"/{name}") as load:
        order(process, "reload", until="accepted")
        process.wait_for("waiting")
        load.wait_for_answers(50)
        assert process.get(f"/{name}").json() == "1"
        (tmp_path / "wait").unlink()
        process.wait_for("the former generation has ended")
        load.wait_for_answers(50)
        assert process.get(f"/{name}").json() == "2"
        lock(tmp_path, late=b"1", rare=b"1")  # which each worker of that generation loads again
        assert order(process, "rollback")["what"] == "ended"
        load.wait_for_answers(50)
        assert process.get(f"/{name}").json() == "1"
    assert load.failures == []
    assert set(load.answers) == {200}
    assert loads(tmp_path)[f"{name}.bin 2"] == 1
    assert process.stop() == 0


def test_a_rollback_does_not_serve_what_the_former_generation_did_not(
    started: Started, tmp_path: Path
) -> None:
    """Its workers would load what lies there by now, which belongs to another set."""
    process = started()
    lock(tmp_path, late=b"2")
    assert order(process, "reload")["what"] == "ended"
    message = order(process, "rollback")
    assert (message["what"], "late.bin" in message["reason"]) == ("failed", True)
    assert "was locked anew after the models were loaded" in message["reason"]
    assert process.get("/late").json() == "2"
    assert process.stop() == 0


def test_a_reload_loads_once_for_all_what_each_had_loaded(started: Started, tmp_path: Path) -> None:
    process = started()
    lock(tmp_path, late=b"2", rare=b"2")
    assert order(process, "reload")["what"] == "ended"
    ask_all(process)
    assert loads(tmp_path) == {
        "late.bin 1": 2,
        "rare.bin 1": 2,
        "late.bin 2": 1,
        "rare.bin 2": 1,
        "spare.bin 1": 3,  # two, then one
    }
    assert process.stop() == 0


def test_a_reload_does_not_wait_for_what_nobody_serves(started: Started, tmp_path: Path) -> None:
    """The control: such a model is late after each start."""
    process = started(is_waiting=True)
    assert process.get("/late").status_code == 503
    assert order(process, "reload")["what"] == "ended"
    assert process.get("/late").status_code == 503
    assert process.get("/soon").json() == "1"
    (tmp_path / "wait").unlink()
    ask_all(process)
    assert process.stop() == 0


def test_a_reload_fails_rather_than_lose_what_was_served(started: Started, tmp_path: Path) -> None:
    process = started()
    lock(tmp_path, late=b"raise")
    with Load(process.url, 4, "/late") as load:
        load.wait_for_answers(20)
        message = order(process, "reload")
        assert (message["what"], "secret" in message["reason"]) == ("failed", True)
        ready = process.get("/readyz")
        assert (ready.status_code, ready.json()["reload_failed"]) == (
            200,
            "model 'late': LoaderFailedError",
        )
        load.wait_for_answers(20)
    assert load.failures == []
    assert set(load.answers) == {200}
    lock(tmp_path, late=b"2", spare=b"raise")  # the control: that one may be missing
    assert order(process, "reload")["what"] == "ended"
    assert process.get("/late").json() == "2"
    assert process.get("/spare").status_code == 503
    assert process.stop() == 0


def test_who_takes_a_killed_workers_place_serves_what_the_others_serve(
    started: Started, tmp_path: Path
) -> None:
    process = started()
    before = workers_of(process)
    (tmp_path / "wait").touch()
    clients = 8
    with Load(process.url, clients, "/late") as load:
        load.wait_for_answers(50)
        os.kill(before[1], signal.SIGKILL)
        process.wait_for("waiting")
        load.wait_for_answers(50)
        assert workers_of(process) == before  # it is not ready yet
        (tmp_path / "wait").unlink()
        until(lambda: workers_of(process)[1] != before[1])
        load.wait_for_answers(50)
    assert set(load.answers) == {200}
    assert len(load.failures) <= clients / 2 + 2  # what the killed one was answering
    (tmp_path / "wait").touch()  # the control: when nobody serves it, nobody waits for it
    for pid in workers_of(process).values():
        os.kill(pid, signal.SIGSTOP)
    after = workers_of(process)
    for pid in after.values():
        os.kill(pid, signal.SIGKILL)
    assert process.get("/soon").json() == "1"
    assert process.get("/late").status_code == 503
    (tmp_path / "wait").unlink()
    ask_all(process)
    assert process.stop() == 0


def test_a_worker_that_is_recycled_waits_for_one_that_serves_the_same(
    started: Started, tmp_path: Path
) -> None:
    process = started("--max-worker-requests", "60")
    with Load(process.url, 8, "/late") as load:
        until(lambda: process.output.count("worker has answered enough") >= 4)
        load.wait_for_answers(50)
    assert load.failures == []
    assert set(load.answers) == {200}
    assert loads(tmp_path)["late.bin 1"] >= 4  # each of them its own
    assert process.stop() == 0


def test_a_model_in_a_process_of_its_own_stays_served_too(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    declared = 'when="background", timeout=None'
    write(APP.replace(declared, f'placement="process", {declared}'), **FILES)
    process = serve("--workers", "2")
    ask_all(process)
    lock(tmp_path, late=b"2")
    (tmp_path / "wait").touch()
    with Load(process.url, 4, "/late") as load:
        order(process, "reload", until="accepted")
        process.wait_for("waiting")
        load.wait_for_answers(20)
        (tmp_path / "wait").unlink()
        process.wait_for("the former generation has ended")
        load.wait_for_answers(20)
    assert load.failures == []
    assert set(load.answers) == {200}
    assert loads(tmp_path)["late.bin 2"] == 1
    assert process.get("/late").json() == "2"
    assert process.stop() == 0
