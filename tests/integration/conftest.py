"""Real processes: each has a deadline, and none outlives its test."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx2
import pytest

from loadonce import lock_directory

PREAMBLE = """
import asyncio, time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any
from fastapi import Depends, FastAPI
from loadonce import Classifier, Handle, Model, Registry, Source, artifact, resource, table

HERE = Path(__file__).parent

def text(source: Source) -> str:
    return bytes(source.data).decode()

def note(line: str) -> None:
    with open(HERE / "notes.txt", "a") as file:
        file.write(line + "\\n")
"""


class Process:
    """A child process, its output collected while it runs."""

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.began = time.monotonic()
        self.popen = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._is_over = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """Everything written so far, standard error included."""
        return "\n".join(self._lines)

    @property
    def url(self) -> str:
        """Where the app is served; waits until it is."""
        found = self.wait_for(
            r"(?:ready on|running on|Listening at:|Server started at) (https?://[\w.:\[\]]+)"
        )
        return found[1].replace("0.0.0.0", "127.0.0.1")

    def wait_for(self, pattern: str, seconds: float = 25.0) -> re.Match[str]:
        """The first match of `pattern` in the output."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                if found := re.search(pattern, self.output):
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or self._is_over:
                    pytest.fail(f"never wrote {pattern!r}:\n{self.output}")
                self._changed.wait(left)

    def get(self, path: str, seconds: float = 30.0) -> httpx2.Response:
        """GET from the app."""
        return httpx2.get(self.url + path, timeout=seconds)

    def await_watcher(self, seconds: float = 25.0) -> None:
        """Until this process is told of changed files (by inotify)."""
        deadline = time.monotonic() + seconds
        while not any(map(_is_watching, Path(f"/proc/{self.popen.pid}/fdinfo").iterdir())):
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process only."""
        self.popen.send_signal(number)

    def wait(self, seconds: float = 25.0) -> int:
        """The exit code; fails the test if the process takes longer."""
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {seconds} s:\n{self.output}")
        self._reader.join(5)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> int:
        """Send a signal, wait for the end, return the exit code."""
        self.send(number)
        return self.wait(seconds)

    def kill(self) -> None:
        """Whatever happened: it ends now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self._reader.join(5)
        if self._reader.is_alive():  # to close the pipe now would be to wait for its end for good
            pytest.fail(f"a process has outlived the server it belongs to:\n{self.output}")
        assert self.popen.stdout is not None
        self.popen.stdout.close()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()


def _is_watching(descriptor: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):  # closed since it was listed
        return descriptor.read_text().count("inotify wd:") > 0
    return False


Launch = Callable[..., Process]


@pytest.fixture(autouse=True)
def _measure(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where asked for, coverage measures each process that a test starts."""
    if pytestconfig.getoption("--measure-servers"):
        root = pytestconfig.rootpath
        monkeypatch.setenv("COVERAGE_PROCESS_START", str(root / "pyproject.toml"))
        monkeypatch.setenv("COVERAGE_FILE", str(root / ".coverage"))


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """`launch("loadonce", "serve", ...)` starts a console script in the test's directory."""
    started: list[Process] = []

    def start(
        script: str, *arguments: str, pass_fds: Sequence[int] = (), **environment: str
    ) -> Process:
        command = [str(Path(sys.executable).parent / script), *arguments]
        clean = {
            name: value for name, value in os.environ.items() if name != "KUBERNETES_SERVICE_HOST"
        }
        process = Process(command, tmp_path, {**clean, **environment}, pass_fds)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write(code, a=b"...")` makes main.py and locked artifacts models/a.bin in the directory."""

    def make(code: str, **artifacts: bytes) -> Path:
        (tmp_path / "main.py").write_text(PREAMBLE + textwrap.dedent(code))
        models = tmp_path / "models"
        models.mkdir(exist_ok=True)
        for name, content in artifacts.items():
            (models / f"{name}.bin").write_bytes(content)
        lock_directory(models)
        return models

    return make


@pytest.fixture
def serve(launch: Launch) -> Launch:
    """`serve("--uds", ...)` serves main:app on a free port, without a drain delay."""

    def start(*arguments: str, target: str = "main:app", **environment: str) -> Process:
        given = [] if "--port" in arguments else ["--port", "0"]
        delay = [] if "--drain-delay" in arguments else ["--drain-delay", "0"]
        return launch("loadonce", "serve", target, *given, *delay, *arguments, **environment)

    return start
