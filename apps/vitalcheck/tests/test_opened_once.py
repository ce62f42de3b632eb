"""A real server opens each artifact once, at its start, whatever is asked of it later."""

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import vitalcheck

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

ARTIFACTS = Path(vitalcheck.__file__).parent / "artifacts"
ROUNDS = 16
PAGES = ("/", "/docs", "/openapi.json", "/static/favicon.svg")
PROBES = ("/livez", "/startupz", "/readyz")

# The control is part of the app: a route that opens an artifact once more, as a handler of a
# careless app would.
COUNTED = """
import os
import sys
from pathlib import Path

from fastapi import FastAPI

from vitalcheck import app as vitalcheck_app

def audit(event, args):
    if event == "open" and isinstance(args[0], (str, os.PathLike)):
        os.write(2, f'opened "{os.fspath(args[0])}"\\n'.encode())

if "--audit" in os.environ["COUNTED_BY"]:
    sys.addaudithook(audit)

def create_app() -> FastAPI:
    app = vitalcheck_app.create_app()

    @app.get("/again/{name:path}")
    def again(name: str) -> int:
        return len((Path(vitalcheck_app.__file__).parent / "artifacts" / name).read_bytes())

    return app
"""


class Server:
    """VitalCheck's server, and the log in which the openings of files stand."""

    def __init__(self, log: Path, process: subprocess.Popen[bytes]) -> None:
        self._log = log
        self._process = process

    @property
    def url(self) -> str:
        """Where it serves; waits until it does."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(r"ready on (http://[\w.:]+)", self._log.read_text()):
                return found[1]
            time.sleep(0.05)
        raise AssertionError(f"the server did not start:\n{self._log.read_text()}")

    def openings(self) -> Counter[str]:
        """How often each locked file was opened up to now, by its name without directories."""
        pattern = re.compile(r'(?:opened |openat\([^"]*)"([^"]*)"(?!.*ENOENT)')
        names = {Path(path).name for path in locked_paths()}
        opened = (Path(path).name for path in pattern.findall(self._log.read_text()))
        return Counter(name for name in opened if name in names)

    def await_openings(self, count: int) -> Counter[str]:
        """The openings, once there are `count` of them: the tracer writes a little later."""
        deadline = time.monotonic() + 5
        while self.openings().total() < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.openings()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)


def locked_paths() -> list[str]:
    """What is loaded; the cards' Markdown twins are for people, the pipelines for converting."""
    lock = tomllib.loads((ARTIFACTS / "models.lock").read_text())
    return sorted(path for path in lock["artifacts"] if not path.endswith((".md", ".joblib")))


Serve = Callable[[str], contextlib.AbstractContextManager[Server]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """`serve("audit")` serves VitalCheck, its openings told by "audit" hooks or by "strace"."""
    (tmp_path / "counted.py").write_text(COUNTED)

    @contextlib.contextmanager
    def start(tracer: str) -> Iterator[Server]:
        monkeypatch.setenv("COUNTED_BY", f"--{tracer}")
        script = str(Path(sys.executable).with_name("loadonce"))
        command = [script, "serve", "counted:create_app", "--factory", "--port", "0"]
        if tracer == "strace":
            strace = shutil.which("strace")
            if strace is None:
                pytest.skip("strace is not installed")
            # -D: the tracer is the server's grandchild, so that signals reach the server itself.
            command = [strace, "-D", "-f", "-qq", "-e", "trace=openat", *command]
        log = tmp_path / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--drain-delay", "0"],
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                yield Server(log, process)
            finally:
                process.kill()
                process.wait()

    return start


def ask_for_everything(client: httpx2.Client, bodies: dict[str, Any], picture: bytes) -> int:
    """One request of each kind; all succeed. Returns how many."""
    answers = [client.post(path, json=body) for path, body in bodies.items()]
    answers += [
        client.post("/api/v1/imaging/brain-tumor", files={"image": ("scan.png", picture)}),
        client.get("/api/v1/hospital/analytics"),
        client.get("/api/v1/hospital/analytics", params={"limit": 3}),
        client.get("/api/v1/models"),
        *(client.get(path) for path in PAGES + PROBES),
    ]
    assert [(a.url.path, a.text) for a in answers if a.status_code != 200] == []
    return len(answers)


def contract_routes(client: httpx2.Client) -> set[str]:
    paths = client.get("/openapi.json").json()["paths"]
    return {path for path in paths if path.startswith("/api/v1/")}


@pytest.mark.parametrize("tracer", ["audit", "strace"])
def test_hundreds_of_requests_open_no_artifact_again(
    serve: Serve, bodies: dict[str, Any], picture: bytes, tracer: str
) -> None:
    once = Counter(Path(path).name for path in locked_paths())
    assert len(once) > 20  # the names differ without their directories too
    assert set(once.values()) == {1}
    with serve(tracer) as server:
        with httpx2.Client(base_url=server.url, timeout=30) as client:
            assert server.await_openings(len(once)) == once  # all at the start
            assert client.get("/readyz").json()["status"] == "ok"
            asked = {*bodies, "/api/v1/hospital/analytics", "/api/v1/models"}
            assert contract_routes(client) == asked
            done = sum(ask_for_everything(client, bodies, picture) for _ in range(ROUNDS))
            assert done >= 300
            # The control; what came before it in the log is written by then too.
            assert client.get("/again/cards/heart.json").json() > 0
            again = server.await_openings(len(once) + 1)
            assert again - once == Counter({"heart.json": 1})
        assert server.stop() == 0
