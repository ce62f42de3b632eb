"""Servers under test: started, watched until they answer, weighed, ended with all they began."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

import psutil

from .contenders import Contender, Reply, Workload
from .places import MODELS, ROOT, SOURCES, VITALCHECK

START_TIMEOUT: Final = 90.0
_MARK: Final = "BENCH_MARK"
_POLL: Final = 0.01
_TERM_TIMEOUT: Final = 10.0
_UNSET: Final = ("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "PYTHONPATH", "VIRTUAL_ENV")


class ServerError(Exception):
    """A contender did not start, or answered wrongly; the message ends with its last words."""


@dataclass(slots=True)
class Server:
    """One running contender.

    Attributes:
        start_seconds: from its program's start to its first prediction.
        refusal: the latest answer that was none, for messages.
    """

    contender: Contender
    workload: Workload
    port: int
    mark: str
    process: subprocess.Popen[bytes]
    log: Path
    start_seconds: float = 0.0
    refusal: str = ""

    @property
    def path(self) -> str:
        return self.contender.path(self.workload)

    def memory_bytes(self) -> int:
        """PSS of all its processes: each shared page is counted once."""
        total = 0
        for process in processes(self.mark):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total

    def ask(self, row: Mapping[str, Any], connection: HTTPConnection) -> Reply | None:
        """The reply to one row; None for any other status than 200."""
        body = json.dumps(self.contender.body(dict(row)))
        connection.request("POST", self.path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            self.refusal = f"{answer.status}: {text[:200].decode(errors='replace')}"
            return None
        return Reply(0.0) if self.contender.is_floor else self.contender.reply(json.loads(text))

    def last_words(self) -> str:
        """Its latest refusal, and the end of what it printed."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        said = [self.refusal, *lines[-3:]]
        return " / ".join(line.strip() for line in said if line)[-400:]


@contextmanager
def running(contender: Contender, workload: Workload, row: Mapping[str, Any]) -> Iterator[Server]:
    """Start a contender and wait for its first prediction; at the end nothing of it is left.

    Raises ServerError.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        server = _start(contender, workload, Path(directory))
        try:
            _await_prediction(server, row)
            yield server
        finally:
            _end(server)


def processes(mark: str) -> list[psutil.Process]:
    """All processes that carry the mark: children of children, and orphans, inherit it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _start(contender: Contender, workload: Workload, directory: Path) -> Server:
    port, mark = _free_port(), uuid.uuid4().hex
    environ = {key: text for key, text in os.environ.items() if key not in _UNSET}
    paths = (ROOT, *SOURCES) if contender.environment == "repository" else (ROOT,)
    environ |= {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "BENCH_ARTIFACTS": str(MODELS),
        "BENCH_VITALCHECK": str(VITALCHECK),
        "BENCH_WORKLOAD": workload,
        _MARK: mark,
        "BENTOML_DO_NOT_TRACK": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
        **contender.environ(port),
    }
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            contender.command(workload, port),
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(contender, workload, port, mark, process, log)


def _free_port() -> int:
    """A port that is free with the next two, and that no client's connection will be given."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), ExitStack() as probes:
            for number in range(port, port + 3):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", number))
            return port


def _await_prediction(server: Server, row: Mapping[str, Any]) -> None:
    began = time.monotonic()
    while time.monotonic() - began < START_TIMEOUT:
        if server.process.poll() is not None:
            raise ServerError(f"ended before it answered: {server.last_words()}")
        connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
        with suppress(OSError, HTTPException):
            if server.ask(row, connection) is not None:
                server.start_seconds = time.monotonic() - began
                connection.close()
                return
        connection.close()
        time.sleep(_POLL)
    raise ServerError(f"no prediction within {START_TIMEOUT:.0f} s: {server.last_words()}")


def _end(server: Server) -> None:
    known = processes(server.mark)
    server.process.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.process.wait(_TERM_TIMEOUT)
    for process in {*known, *processes(server.mark)}:
        with suppress(psutil.Error):
            process.kill()  # psutil compares the creation time: never another's pid
    psutil.wait_procs(known, timeout=_TERM_TIMEOUT)
    server.process.wait()
