"""One worker is watched, too: what `loadonce serve` does by default on Linux."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadonce import lock_directory

from .test_workers import APP, Load, children_of, is_alive, opened, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

Launch = Callable[..., Any]
Write = Callable[..., Path]


def test_the_one_that_dies_has_a_successor_without_a_load(write: Write, serve: Launch) -> None:
    write(APP, a=b"a", b=b"b")
    process = serve()
    first = process.get("/pid").json()
    before = opened(process)
    os.kill(first, signal.SIGKILL)
    process.wait_for('"worker ready", "worker": 1')  # which of the first start nobody is told
    assert process.get("/pid").json() != first
    assert opened(process) - before == {"b.bin": 1}
    assert process.stop() == 0
    assert process.output.count('"stopping"') == 0  # the worker tells
    assert process.output.count('"draining"') == 1


def test_it_is_reloaded_under_load_without_a_failure(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(APP, a=b"a", b=b"b")
    process = serve()
    with Load(process.url, 4) as load:
        load.wait_for_answers(20)
        (tmp_path / "models" / "a.bin").write_bytes(b"new")
        lock_directory(tmp_path / "models")
        process.send(signal.SIGHUP)
        process.wait_for("the former generation has ended")
        load.wait_for_answers(20)
    assert load.failures == []
    assert set(load.answers) == {200}
    assert process.get("/a").json() == "new"
    assert process.stop() == 0


def test_one_process_has_no_successor(write: Write, serve: Launch) -> None:
    """The control, and what `--no-fork` is."""
    write(APP, a=b"a", b=b"b")
    process = serve("--no-fork")
    assert process.get("/pid").json() == process.popen.pid
    assert children_of(process.popen.pid) == set()
    os.kill(process.popen.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


NOTES = """
import atexit
atexit.register(lambda: note("end of the module"))
app = FastAPI()

@asynccontextmanager
async def lifespan(app):
    atexit.register(lambda: note("end of a worker"))
    yield
app = FastAPI(lifespan=lifespan)
"""


def test_what_is_registered_with_atexit_runs_where_it_was_registered(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write("from contextlib import asynccontextmanager\n" + NOTES)
    process = serve("--workers", "2")
    assert process.url
    assert process.stop() == 0
    lines = (tmp_path / "notes.txt").read_text().splitlines()
    assert lines == ["end of a worker", "end of a worker", "end of the module"]


def test_a_function_that_hangs_while_a_load_is_given_up_cannot_hold_the_exit(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(
        """
        def slow(source: Source) -> str:
            note("loading")
            time.sleep(60)
            return "never"

        class Models(Registry):
            a: Model[str] = artifact("a.bin", loader=text, close=lambda value: time.sleep(60))
            b: Model[str] = artifact("b.bin", loader=slow)

        models = Models(root=HERE / "models")
        app = FastAPI(lifespan=models.lifespan)
        """,
        a=b"a",
        b=b"b",
    )
    process = serve()
    until((tmp_path / "notes.txt").exists)
    time.sleep(0.2)
    [zygote] = children_of(process.popen.pid)
    assert process.stop(seconds=10) == 1
    assert "not stopped within 1.8 s, ending at once" in process.output
    assert not is_alive(zygote)


@pytest.mark.parametrize(
    ("started", "reason"),
    [
        (
            "threading.Thread(target=time.sleep, args=(60,), name='tick', daemon=True).start()",
            "tick",
        ),
        ("sys.modules['polars'] = threading", "polars is imported"),
    ],
)
def test_an_app_that_cannot_be_forked_is_served_by_one_process(
    write: Write, serve: Launch, started: str, reason: str
) -> None:
    told = "@app.get('/threads')\nasync def threads() -> list[str]:\n"
    told += "    return [thread.name for thread in threading.enumerate()]\n"
    write(f"{APP}\n{started}\n{told}", a=b"a", b=b"b")
    process = serve()
    assert process.get("/pid").json() == process.popen.pid
    assert process.get("/a").json() == "a"
    assert ("tick" in process.get("/threads").json()) is (reason == "tick")
    assert reason in process.output
    assert children_of(process.popen.pid) == set()
    assert process.output.count("ready on") == 1
    assert process.stop() == 0
    assert process.output.count('"draining"') == 1


def test_several_workers_are_forked_all_the_same(write: Write, serve: Launch) -> None:
    """The control: what was asked for is done, and what will be missed is named."""
    write(APP + "\nsys.modules['polars'] = threading\n", a=b"a", b=b"b")
    process = serve("--workers", "2")
    assert process.get("/a").json() == "a"
    assert "polars is imported: its own threads do not survive a fork" in process.output
    assert len(children_of(process.popen.pid)) == 3
    assert process.stop() == 0


def test_a_thread_that_ends_at_once_is_no_reason(write: Write, serve: Launch) -> None:
    write(APP + "\nthreading.Thread(target=time.sleep, args=(0.01,)).start()\n", a=b"a", b=b"b")
    process = serve()
    assert process.get("/pid").json() != process.popen.pid
    assert process.stop() == 0
