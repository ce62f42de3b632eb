"""Several workers without a fork: each loads its own models, and no request is lost for that."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadonce import lock_directory

from .test_workers import OPENED, Load, children_of, is_alive, until, workers_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

Launch = Callable[..., Any]
Write = Callable[..., Path]

APP = (
    OPENED
    + """
from loadonce.http import install

def is_fine(value: str) -> bool:
    return value != "wrong"

class Models(Registry):
    word: Model[str] = artifact("word.bin", loader=text, golden=is_fine)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
install(app, models, metrics=True)

@app.get("/a")
async def a(model: Annotated[Handle[str], Depends(models.word)], seconds: float = 0.0) -> str:
    def slowly(value: str) -> str:
        time.sleep(seconds)
        return value
    return await model.run(slowly)

@app.get("/reload")
async def reload() -> None:
    await models.word.reload()

@app.get("/environment")
async def environment() -> tuple[str, int]:
    return os.environ["LOADONCE_WORKERS"], os.getpgrp() == os.getpid()
"""
)

# What macOS lacks, taken away before anything else runs.
ELSEWHERE = """
import os, socket, sys
from types import SimpleNamespace
from loadonce.system import linux

linux.sys = SimpleNamespace(platform="darwin")

def refuse(*_arguments):
    raise AssertionError("this is for Linux")

linux.prctl = refuse
del os.memfd_create, socket.SO_PEERCRED, socket.SOCK_SEQPACKET, socket.MSG_CMSG_CLOEXEC

def hide(event, arguments):
    if event == "open" and str(arguments[0]).startswith(("/proc", "/sys")):
        raise FileNotFoundError(arguments[0])

sys.addaudithook(hide)
"""

SLOW = """
import sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "main":
            print("importing", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Slow())
"""


@pytest.fixture
def spawn(write: Write, serve: Launch, tmp_path: Path) -> Callable[..., Any]:
    """`spawn("--flag", word=b"...")`: two workers that are not forked; `first` is what each process
    runs before anything else."""

    def start(
        *arguments: str, word: bytes = b"word", first: str = "", target: str = "main:app"
    ) -> Any:
        write(APP, word=word)
        site = tmp_path / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(first)
        path = f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        fork = [] if first == ELSEWHERE else ["--no-fork"]
        return serve("--workers", "2", *fork, *arguments, target=target, PYTHONPATH=path)

    return start


Spawn = Callable[..., Any]


def opened(process: Any) -> int:
    return int(process.output.count("opened word.bin"))


def kill_one(process: Any) -> None:
    """Kill the first worker, and wait for its successor."""
    before = workers_of(process)
    os.kill(before[1], signal.SIGKILL)
    until(lambda: workers_of(process)[1] != before[1])
    assert workers_of(process)[2] == before[2]


def kill_supervisor(process: Any) -> None:
    """Kill it, and see the workers end."""
    family = children_of(process.popen.pid)
    assert len(family) == 2
    process.send(signal.SIGKILL)
    process.wait()
    until(lambda: not any(map(is_alive, family)))


def replace(tmp_path: Path, word: bytes) -> None:
    (tmp_path / "models" / "word.bin").write_bytes(word)
    lock_directory(tmp_path / "models")


def test_each_worker_loads_its_own_copy_and_one_line_says_so(spawn: Spawn) -> None:
    process = spawn()
    assert process.get("/environment").json() == ["2", True]
    assert opened(process) == 2
    assert process.output.count("each worker loads its own") == 1
    assert '2 copies, 2 times the memory and work", "reason": "--no-fork"' in process.output
    assert process.output.count('"model ready"') == 1  # of one worker only
    assert children_of(process.popen.pid) == set(workers_of(process).values())
    assert set(re.findall(r'worker="(\d)"', process.get("/metrics").text)) == {"1", "2"}
    assert process.get("/readyz").status_code == 200
    kill_supervisor(process)


def test_a_killed_worker_is_replaced_and_a_stop_under_load_loses_no_request(
    spawn: Spawn, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    process = spawn("--drain-delay", "0.5", first=f"import sys; sys.executable = {str(python)!r}")
    with Load(process.url, 8) as load:
        before = workers_of(process)
        load.wait_for_answers(20)
        python.rename(tmp_path / "gone")  # the control: nothing can be started
        os.kill(before[1], signal.SIGKILL)
        until(lambda: process.output.count("a worker cannot be started") == 2)
        load.wait_for_answers(20)  # from the other one
        assert workers_of(process) == before
        (tmp_path / "gone").rename(python)
        until(lambda: workers_of(process)[1] != before[1])
        load.wait_for_answers(20)
    assert workers_of(process)[2] == before[2]
    assert set(load.answers) == {200}
    assert len(load.failures) <= 8  # in the one that was killed
    assert opened(process) == 3
    with Load(process.url, 8) as load:
        load.wait_for_answers(20)
        process.send(signal.SIGTERM)
        assert process.wait() == 0
    assert load.failures == []
    assert set(load.answers) == {200}
    assert process.output.count('"requests_lost": 0') == 2


def test_a_reload_under_load_changes_every_answer_and_fails_none(
    spawn: Spawn, launch: Launch, tmp_path: Path
) -> None:
    process = spawn()
    with Load(process.url, 8) as load:
        before = workers_of(process)
        load.wait_for_answers(20)
        replace(tmp_path, b"wrong")
        order = launch("loadonce", "reload", "--wait", "--pid", str(process.popen.pid))
        assert order.wait() == 1, order.output
        assert workers_of(process) == before  # the control
        assert process.get("/a").json() == "word"
        replace(tmp_path, b"new")
        assert process.get("/reload").status_code == 200  # one of them asks for all
        process.wait_for("the former generation has ended")
        load.wait_for_answers(20)
    assert load.failures == []
    assert set(load.answers) == {200}
    assert {process.get("/a").json() for _ in range(8)} == {"new"}
    assert not any(is_alive(pid) for pid in before.values())
    assert process.stop() == 0


def test_all_load_anew_when_a_successor_finds_another_version(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn()
    assert process.url
    kill_one(process)
    assert "reloading" not in process.output  # the control: the lock file is what it was
    replace(tmp_path, b"new")
    os.kill(workers_of(process)[2], signal.SIGKILL)
    process.wait_for("a new worker finds other locked models, reloading")
    process.wait_for("the former generation has ended")
    assert {process.get("/a").json() for _ in range(8)} == {"new"}
    assert process.output.count('"reloading"') == 1
    assert process.stop() == 0


@pytest.mark.parametrize("fault", ["model", "code"])
def test_what_is_broken_ends_the_start_with_one_message(spawn: Spawn, fault: str) -> None:
    process = spawn(word=b"wrong", target="main:app" if fault == "model" else "main:nothing")
    assert process.wait() == (3 if fault == "model" else 1)
    expected = "start-up stopped" if fault == "model" else "'main' has no attribute 'nothing'"
    assert process.output.count(expected) == 1
    assert "Traceback" not in process.output


def test_a_stop_while_the_first_worker_imports_ends_at_once(spawn: Spawn) -> None:
    process = spawn(first=SLOW)
    process.wait_for("importing")
    assert process.stop() == 0
    assert "stopped before it served" in process.output


def test_it_needs_nothing_that_only_linux_has(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn("--reload-models", first=ELSEWHERE)
    assert process.get("/a").json() == "word"
    assert "only on Linux can workers share" in process.output
    kill_one(process)
    assert set(re.findall(r'worker="(\d)"', process.get("/metrics").text)) == {"1", "2"}
    with Load(process.url, 8) as load:
        load.wait_for_answers(20)
        replace(tmp_path, b"new")
        process.wait_for("the former generation has ended")
        load.wait_for_answers(20)
        assert process.get("/a").json() == "new"
        assert load.failures == []
        assert process.stop() == 0
    # Only Linux can keep new clients away while those that wait are served: these were too late,
    # each client perhaps once for each worker.
    assert len(load.failures) <= 2 * 8
    assert process.output.count('"requests_lost": 0') == 4


def test_no_worker_outlives_its_supervisor_elsewhere_either(spawn: Spawn) -> None:
    process = spawn(first=ELSEWHERE)
    assert process.url
    kill_supervisor(process)
