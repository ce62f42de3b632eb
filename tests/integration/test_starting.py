"""`loadonce serve` starts as a whole, or ends at once and says what to do."""

from __future__ import annotations

import signal
import socket
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadonce.artifacts import LockFile

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

_BUSY = 3.0  # seconds that a busy machine may add; without what is tested it were 10 or more

Launch = Callable[..., Any]
Write = Callable[..., Path]

ONE = """
class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)

@app.get("/a")
async def a(model: Annotated[Handle[str], Depends(models.a)]) -> str:
    return await model.run(lambda value: value)

def create_app() -> FastAPI:
    return app
"""

SLOW_START = """
def opened() -> Iterator[str]:
    note("open")
    yield "pool"
    note("close")

def loaded(source: Source) -> str:
    note("load a")
    return "a"

def sleeping(source: Source) -> str:
    note("sleep")
    time.sleep(30)
    return "never"

class Models(Registry):
    pool: Model[str] = resource(opened)
    a: Model[str] = artifact("a.bin", loader=loaded, close=lambda value: note("close a"))
    last: Model[str] = resource(lambda pool, a: again(), pool, a)
    slow: Model[str] = artifact("slow.bin", loader=sleeping)

def again() -> Iterator[str]:
    note("open last")
    yield "last"
    note("close last")

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
"""


def test_the_start_counts_from_the_program_not_from_what_ran_before_it_in_the_process(
    write: Write, launch: Launch
) -> None:
    """A script that installs first and then ends in `exec` is the same process."""
    write(ONE, a=b"hello")
    program = Path(sys.executable).with_name("loadonce")
    began = time.monotonic()
    process = launch("/bin/sh", "-c", f"sleep 1; exec {program} serve main:app --port 0")
    seconds = float(process.wait_for(r"ready on \S+ in ([\d.]+) s")[1])
    assert 0 < seconds < time.monotonic() - began - 1


def test_an_app_is_served_and_says_where_and_how_fast(write: Write, serve: Launch) -> None:
    write(ONE, a=b"hello")
    process = serve()
    assert process.get("/a").json() == "hello"
    assert '"model": "a", "version":' in process.output
    process.wait_for(r"ready on http://127.0.0.1:\d+ in [\d.]+ s, 1 model")
    assert process.stop() == 0
    assert process.output.count("model unloaded") == 1


def test_a_registry_that_no_lifespan_loads_is_told(write: Write, serve: Launch) -> None:
    write(ONE.replace("lifespan=models.lifespan", ""), a=b"hello")
    process = serve()
    process.wait_for(r"ready on http://127.0.0.1:\d+ in [\d.]+ s, 0 models")
    assert "no lifespan loads Models" in process.output
    assert process.stop() == 0


INSTALLED = """
from contextlib import asynccontextmanager, nullcontext
from loadonce.http import install

class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text)

models = Models(root=HERE / "models")

@asynccontextmanager
async def own(app: FastAPI) -> Any:
    note("open")
    async with nullcontext():
        yield
    note("close")

class Wrapped:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

inner = FastAPI(lifespan=own)
install(inner, models)
app = Wrapped(inner)
"""


@pytest.mark.parametrize("fork", ["--fork", "--no-fork"])
def test_an_installed_registry_that_no_lifespan_loads_ends_the_start(
    write: Write, serve: Launch, tmp_path: Path, fork: str
) -> None:
    write(INSTALLED, a=b"hello")
    process = serve(fork)
    assert process.wait() == 1
    assert process.output.count("no lifespan loads Models, whose models the app has installed") == 1
    assert "ready on" not in process.output
    assert (tmp_path / "notes.txt").read_text() == "open\nclose\n"


def test_an_installed_registry_in_a_lifespan_of_ones_own_is_served(
    write: Write, serve: Launch
) -> None:
    """The control."""
    write(INSTALLED.replace("with nullcontext()", "with models.running(app)"), a=b"hello")
    process = serve()
    assert process.get("/readyz").json() == {"status": "ok", "models": {"a": "ready"}}
    assert process.stop() == 0


def test_a_setting_that_cannot_be_meant_is_named_without_its_value(
    write: Write, serve: Launch
) -> None:
    write(ONE, a=b"hello")
    process = serve(LOADONCE_MEMORY_LIMIT="lots", LOADONCE_WORKERS="many")
    assert process.wait() == 1
    message = process.output.splitlines()[-1]
    assert message.startswith("LOADONCE_MEMORY_LIMIT must be a size such as 8GiB or 500MB; LOADO")
    assert "lots" not in process.output
    assert "many" not in process.output


def test_a_factory_makes_the_app(write: Write, serve: Launch) -> None:
    write(ONE, a=b"made")
    process = serve("--factory", target="main:create_app")
    assert process.get("/a").json() == "made"
    assert process.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("mode", ["--fork", "--no-fork"])
def test_a_signal_while_loading_ends_within_two_seconds_and_closes_in_reverse(
    write: Write, serve: Launch, tmp_path: Path, number: signal.Signals, mode: str
) -> None:
    write(SLOW_START, a=b"a", slow=b"slow")
    process = serve(mode)
    notes = tmp_path / "notes.txt"
    # What is opened for a worker is not opened before there are workers.
    wanted = {"sleep", "load a"} if mode == "--fork" else {"sleep", "open last"}
    _until(lambda: notes.exists() and wanted <= set(notes.read_text().split("\n")))
    time.sleep(0.2)  # until it is published
    began = time.monotonic()
    assert process.stop(number, seconds=10) == 0
    assert time.monotonic() - began < 2.0 + _BUSY
    lines = notes.read_text().split("\n")
    if mode == "--fork":
        assert lines[-2:] == ["close a", ""]
    else:
        assert lines[-4:-1] in (
            ["close last", "close a", "close"],
            ["close last", "close", "close a"],
        )
    assert "Traceback" not in process.output
    assert process.output.count("stopped before it served") == 1


def test_a_signal_while_the_app_is_imported_ends_at_once(write: Write, serve: Launch) -> None:
    write("print('importing', flush=True)\ntime.sleep(30)")
    process = serve()
    process.wait_for("importing")
    began = time.monotonic()
    assert process.stop(seconds=10) == 0
    assert time.monotonic() - began < 2.0 + _BUSY


def test_a_signal_in_a_lifespan_of_ones_own_ends_at_once(write: Write, serve: Launch) -> None:
    write(
        """
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def lifespan(app):
            print("waiting", flush=True)
            try:
                await asyncio.sleep(30)
            finally:
                print("cleaned up", flush=True)
            yield

        app = FastAPI(lifespan=lifespan)
        """
    )
    process = serve()
    process.wait_for("waiting")
    assert process.stop(seconds=2) == 0
    assert "cleaned up" in process.output


@pytest.mark.parametrize("mode", ["--fork", "--no-fork"])  # with a supervisor, and with nobody
def test_a_start_that_ignores_cancellation_is_ended_all_the_same(
    write: Write, serve: Launch, mode: str
) -> None:
    write(
        """
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def lifespan(app):
            print("waiting", flush=True)
            time.sleep(30)
            yield

        app = FastAPI(lifespan=lifespan)
        """
    )
    process = serve(mode)
    process.wait_for("waiting")
    began = time.monotonic()
    assert process.stop(seconds=10) == 1
    assert time.monotonic() - began < 2.3 + _BUSY
    assert "not stopped within 1.8 s" in process.output


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- failures ----------------------------------------------------------------------------------


def test_every_failure_of_an_artifact_is_told_in_one_message(write: Write, serve: Launch) -> None:
    models = write(
        """
        class Models(Registry):
            missing: Model[str] = artifact("missing.bin", loader=text)
            corrupt: Model[str] = artifact("corrupt.bin", loader=text)
            unlocked: Model[str] = artifact("unlocked.bin", loader=text)

        models = Models(root=HERE / "models")
        app = FastAPI(lifespan=models.lifespan)
        """,
        corrupt=b"what was locked",
    )
    (models / "corrupt.bin").write_bytes(b"what is there..")
    (models / "unlocked.bin").write_bytes(b"nobody knows")
    process = serve()
    assert process.wait() == 3
    message = process.output[process.output.index("start-up stopped") :]
    assert message.startswith("start-up stopped: 3 models failed")
    assert "model 'missing' (missing.bin): nothing exists at this path" in message
    assert "model 'corrupt' (corrupt.bin): differs from models.lock" in message
    assert "expected: sha256" in message
    assert "found: sha256" in message
    assert "model 'unlocked' (unlocked.bin): not in models.lock" in message
    assert message.count("to do:") >= 3
    assert "Traceback" not in process.output


def test_a_wrong_type_is_told(write: Write, serve: Launch) -> None:
    write(
        """
        class Models(Registry):
            clf: Model[Classifier] = artifact("clf.bin", loader=text)

        models = Models(root=HERE / "models")
        app = FastAPI(lifespan=models.lifespan)
        """,
        clf=b"no classifier",
    )
    process = serve()
    assert process.wait() == 3
    assert "model 'clf' (clf.bin): the loaded object is not of the declared type" in process.output
    assert "expected: Classifier" in process.output
    assert "found: a str without predict, predict_proba" in process.output


def test_an_artifact_of_another_library_version_is_told(write: Write, serve: Launch) -> None:
    models = write(ONE, a=b"hello")
    lock = LockFile.read(models)
    lock.with_entry(replace(lock.entries["a.bin"], libraries={"fastapi": "0.1.0"})).write(models)
    process = serve()
    assert process.wait() == 3
    assert "expected: fastapi 0.1.0" in process.output
    assert "found: fastapi 0.1" in process.output


@pytest.mark.alone
def test_a_failing_load_stops_within_a_second_although_another_sleeps(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(
        """
        def failing(source: Source) -> str:
            time.sleep(1)
            note(f"fail {time.time()}")
            raise ValueError("no good")

        def sleeping(source: Source) -> str:
            time.sleep(30)
            return "never"

        class Models(Registry):
            bad: Model[str] = artifact("bad.bin", loader=failing)
            slow: Model[str] = artifact("slow.bin", loader=sleeping)

        models = Models(root=HERE / "models")
        app = FastAPI(lifespan=models.lifespan)
        """,
        bad=b"bad",
        slow=b"slow",
    )
    process = serve()
    assert process.wait() == 3
    ended = time.time()
    failed = float((tmp_path / "notes.txt").read_text().split()[1])
    assert ended - failed < 1.6  # a second, and the end of the process as this one notices it
    assert "model 'bad' (bad.bin): loading raised ValueError: no good" in process.output


def test_debug_shows_where_a_load_failed(write: Write, serve: Launch) -> None:
    write(ONE.replace("loader=text", "loader=lambda source: 1 / 0"), a=b"")
    process = serve("--log-level", "debug")
    assert process.wait() == 3
    assert "Traceback" in process.output
    assert "ZeroDivisionError" in process.output


# -- refused before anything is loaded -----------------------------------------------------------

NOTED = """
note("imported")
app = FastAPI()
"""


def test_a_port_in_use_is_refused_before_the_import(
    write: Write, serve: Launch, tmp_path: Path
) -> None:
    write(NOTED)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = serve("--port", str(port))
        assert process.wait() == 1
    assert time.monotonic() - process.began < 5  # 2 s on an idle machine
    assert f"127.0.0.1 port {port}: Address already in use" in process.output
    assert not (tmp_path / "notes.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--target", "main"], 1, "write module:attribute"),
        (["--target", "mian:app"], 1, "no module 'mian'"),
        (["--target", "main:ap"], 1, "did you mean 'app'?"),
        (["--workers", "none"], 2, "neither a number above 0 nor auto"),
        (["--prot", "1"], 2, "--prot"),
        (["--ssl-certfile", "none.pem"], 1, "none.pem"),
        (["--host", "192.0.2.1"], 1, "192.0.2.1"),
    ],
)
def test_what_cannot_work_is_named(
    write: Write, serve: Launch, tmp_path: Path, arguments: list[str], code: int, expected: str
) -> None:
    write(NOTED)
    target = "main:app"
    if arguments[0] == "--target":
        target, arguments = arguments[1], []
    process = serve(*arguments, target=target)
    assert process.wait() == code
    assert time.monotonic() - process.began < 2.0 + _BUSY
    assert expected in process.output
    assert "Traceback" not in process.output
    is_imported = target == "main:ap"  # to tell what it has instead: the control
    assert (tmp_path / "notes.txt").exists() is is_imported


def test_an_app_that_cannot_be_imported_says_where(write: Write, serve: Launch) -> None:
    write("\n\nraise KeyError('oops')")
    process = serve()
    assert process.wait() == 1
    assert "importing 'main' failed: KeyError: 'oops' (main.py, line " in process.output
    assert "Traceback" not in process.output


# -- the garbage collector ---------------------------------------------------------------------


def test_nothing_is_collected_until_the_app_is_ready(write: Write, serve: Launch) -> None:
    """Imports make many objects and next to no garbage; what they made is never walked."""
    code = """
    import gc
    is_on = [gc.isenabled()]

    @app.get("/is-on")
    def tell() -> list[bool]:
        return [*is_on, gc.isenabled(), gc.get_freeze_count() > 0]
    """
    write(ONE + textwrap.dedent(code), a=b"A")
    assert serve().get("/is-on").json() == [False, True, True]
