"""`loadonce dev`: restarts on changes, trusts new artifacts, serves this machine only."""

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

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

Launch = Callable[..., Any]
Write = Callable[..., Path]

APP = """
class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text, close=lambda value: note("closed"))

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)

@app.get("/a")
async def a(model: Annotated[Handle[str], Depends(models.a)]) -> str:
    return await model.run(lambda value: value + "!")
"""


@pytest.fixture
def dev(launch: Launch) -> Launch:
    """`dev(...)` starts the development server on a free port."""
    return lambda *arguments: launch("loadonce", "dev", "main:app", "--port", "0", *arguments)


def _eventually(url: str, expected: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if httpx2.get(url, timeout=20).json() == expected:
            return
        time.sleep(0.1)
    pytest.fail(f"{url} never answered {expected}")


def rewrite(path: Path, code: str) -> None:
    """Change a file at one go, and later: what is compiled is compared by the second."""
    later = path.stat().st_mtime + 2
    written = path.with_suffix(".new")
    written.write_text(code)
    os.utime(written, (later, later))
    written.replace(path)


def test_code_that_changes_is_served_and_every_child_closes_what_it_opened(
    write: Write, dev: Launch, tmp_path: Path
) -> None:
    write(APP, a=b"hello")
    process = dev()
    url = process.url
    _eventually(f"{url}/a", "hello!")
    process.await_watcher()
    source = (tmp_path / "main.py").read_text()
    rewrite(tmp_path / "main.py", source.replace('"!"', '"?"'))
    _eventually(f"{url}/a", "hello?")
    assert (tmp_path / "notes.txt").read_text() == "closed\n"
    began = time.monotonic()
    process.stop(signal.SIGINT)
    assert time.monotonic() - began < 4
    assert (tmp_path / "notes.txt").read_text() == "closed\nclosed\n"


@pytest.mark.parametrize("has_watchfiles", [True, False])
def test_one_change_restarts_once(
    write: Write, launch: Launch, tmp_path: Path, has_watchfiles: bool
) -> None:
    """With watchfiles or without it, when uvicorn compares times of change itself."""
    write(APP, a=b"hello")
    paths = [os.environ.get("PYTHONPATH", "")]
    if not has_watchfiles:
        absent = tmp_path.with_name(f"{tmp_path.name}-absent")
        absent.mkdir()
        (absent / "watchfiles.py").write_text("raise ImportError")
        paths.insert(0, str(absent))
    command = ("loadonce", "dev", "main:app", "--port", "0")
    process = launch(*command, PYTHONPATH=os.pathsep.join(filter(None, paths)))
    url = process.url
    _eventually(f"{url}/a", "hello!")
    source = (tmp_path / "main.py").read_text()
    for end in ("?", "."):
        if has_watchfiles:
            process.await_watcher()
        else:
            time.sleep(1.0)  # until it has looked
        rewrite(tmp_path / "main.py", source.replace('"!"', f'"{end}"'))
        _eventually(f"{url}/a", f"hello{end}")
    time.sleep(1.5)  # six more looks at the files
    assert process.output.count("Reloading...") == 2


def test_an_error_in_the_code_waits_for_its_repair(
    write: Write, dev: Launch, tmp_path: Path
) -> None:
    write("this is no Python", a=b"hello")
    process = dev()
    process.wait_for("importing 'main' failed: SyntaxError")
    process.await_watcher()
    write(APP, a=b"hello")
    process.wait_for("ready on")
    _eventually(f"{process.url}/a", "hello!")


def test_an_artifact_that_nobody_locked_is_locked_with_one_line(
    write: Write, dev: Launch, serve: Launch
) -> None:
    models = write(APP)
    (models / "models.lock").unlink()
    (models / "a.bin").write_bytes(b"new")
    refused = serve()
    assert refused.wait() == 3
    process = dev()
    _eventually(f"{process.url}/a", "new!")
    assert process.output.count("locked a.bin on first use") == 1
    assert '[artifacts."a.bin"]' in (models / "models.lock").read_text()
    time.sleep(1.0)  # until the holder has looked
    (models / "a.bin").write_bytes(b"trained anew")
    process.wait_for("development: a.bin was written anew; run `loadonce lock .*models` to serve")


def test_an_artifact_that_was_locked_anew_is_served_also_after_a_failure(
    write: Write, dev: Launch, tmp_path: Path
) -> None:
    models = write(APP, a=b"hello")
    process = dev()
    url = process.url
    _eventually(f"{url}/a", "hello!")
    process.await_watcher()
    (models / "a.bin").write_bytes(b"other")
    lock_directory(models)
    _eventually(f"{url}/a", "other!")
    process.wait_for("detected changes in .*models.lock")
    (models / "a.bin").write_bytes(b"third")  # and nobody locks it
    rewrite(tmp_path / "main.py", (tmp_path / "main.py").read_text().replace('"!"', '"?"'))
    process.wait_for("start-up stopped: 1 model failed")
    refused = httpx2.post(f"{url}/a", content=b"x" * 100_000, timeout=20)
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert "terminal" in refused.json()["detail"]
    lock_directory(models)
    process.wait_for(r"(?s)start-up stopped.*ready on")
    _eventually(f"{url}/a", "third?")
    process.stop(signal.SIGINT)


FAILING = """
from loadonce.http import install

app = FastAPI()
install(app)

@app.get("/fail")
async def fail() -> None:
    raise ValueError(f"glucose {100 + 48}")
"""


def test_a_failure_shows_its_text_and_traceback_as_it_does_not_when_served(
    write: Write, dev: Launch, serve: Launch
) -> None:
    write(FAILING)
    process = dev()
    assert process.get("/fail").status_code == 500
    process.wait_for("ValueError: glucose 148")
    assert "Traceback" in process.output
    served = serve()
    assert served.get("/fail").status_code == 500
    served.wait_for("request failed")
    served.stop()
    assert "glucose 148" not in served.output


def test_ctrl_c_reaches_the_whole_group_and_ends_it_at_once(write: Write, dev: Launch) -> None:
    write(APP, a=b"hello")
    process = dev()
    _eventually(f"{process.url}/a", "hello!")
    began = time.monotonic()
    os.killpg(process.popen.pid, signal.SIGINT)
    assert process.wait(10) == 0
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.0.2.1", "no.such.host.invalid"])
def test_others_cannot_reach_it(write: Write, dev: Launch, host: str) -> None:
    write(APP, a=b"hello")
    process = dev("--host", host)
    assert process.wait() == 1
    assert "this machine only" in process.output or f"--host {host}:" in process.output
