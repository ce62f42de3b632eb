"""`loadonce inspect --live`, beside servers that run."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .test_workers import until, workers_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

APP = """
class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
kept = []

@app.get("/a")
async def a(model: Annotated[Handle[str], Depends(models.a)]) -> str:
    return await model.run(lambda value: value)

@app.get("/write")
async def write() -> int:
    kept.append(b"x" * 30_000_000)
    return os.getpid()

import os
"""

Launch = Callable[..., Any]


def inspected(pid: int, *arguments: str) -> str:
    """What the command prints of the server that this process belongs to."""
    script = str(Path(sys.executable).parent / "loadonce")
    command = [script, "inspect", "--live", "--pid", str(pid), *arguments]
    return subprocess.check_output(command, text=True, timeout=30)


def found(pid: int) -> Any:
    return json.loads(inspected(pid, "--json"))


def test_a_server_is_seen_with_what_each_process_holds(
    write: Callable[..., Path], serve: Launch
) -> None:
    write(APP, a=b"a")
    process = serve("--workers", "2")
    assert process.get("/a").json() == "a"
    writer = process.get("/write").json()
    pids = workers_of(process)
    until(lambda: found(pids[1])["models"][0]["statistics"]["calls"] == 1)
    server = found(pids[1])
    assert (server["target"], server["url"]) == ("main:app", process.url)
    roles = {each["role"]: each for each in server["processes"]}
    assert list(roles) == ["supervisor", "zygote", "worker 1", "worker 2"]
    assert {roles[f"worker {number}"]["pid"] for number in (1, 2)} == set(pids.values())
    written = {each["pid"]: sum(each["written"].values()) for each in server["processes"]}
    [other] = set(pids.values()) - {writer}
    assert written[writer] > written[other] + 25_000_000  # what un-shared it, and the control
    os.kill(pids[1], signal.SIGKILL)
    until(lambda: workers_of(process)[1] != pids[1])
    until(lambda: len(found(process.popen.pid)["processes"]) == 4)
    until(lambda: restarts(process.popen.pid) == [1, 0])
    assert found(process.popen.pid)["models"][0]["statistics"]["calls"] == 1
    assert process.stop() == 0


def test_processes_of_single_models_are_seen_too(write: Callable[..., Path], serve: Launch) -> None:
    owned = APP.replace("loader=text", 'loader=text, placement="process"')
    owned = owned.replace("(lambda value: value)", "(len)").replace("-> str", "-> int")
    metrics = "from loadonce.http import install\ninstall(app, models, metrics=True)\n"
    write(owned + metrics, a=b"a" * 100_000_000)
    process = serve("--workers", "2")
    assert process.get("/a").json() == 100_000_000

    def roles() -> dict[str, Any]:
        return {each["role"]: each for each in found(process.popen.pid)["processes"]}

    expected = ["supervisor", "zygote", "keeper", "owner of a", "worker 1", "worker 2"]
    until(lambda: list(roles()) == expected)
    memory = {role: each["memory"]["proportional"] for role, each in roles().items()}
    assert memory.pop("owner of a") > 100_000_000
    assert max(memory.values()) < 100_000_000
    [model] = found(process.popen.pid)["models"]
    assert model["bytes_in_memory"] > 90_000_000
    page = process.get("/metrics").text
    told = re.search(
        r'^loadonce_owner_memory_bytes{kind="private",model="a"} (\S+)$', page, re.MULTILINE
    )
    assert told is not None
    assert float(told[1]) > 100_000_000
    assert process.stop() == 0


def restarts(pid: int) -> list[int]:
    return [each["restarts"] for each in found(pid)["processes"] if "worker" in each["role"]]


WEBSOCKETS = """
app = FastAPI()

@app.websocket("/ws")
async def ws(socket: WebSocket) -> None:
    await socket.accept()
    async for _ in socket.iter_text():
        pass
"""


def upgraded(host: str, port: str) -> socket.socket:
    client = socket.create_connection((host, int(port)), 20)
    key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    upgrade = f"Connection: Upgrade\r\nUpgrade: websocket\r\n{key}\r\n"
    client.sendall(f"GET /ws HTTP/1.1\r\nHost: test\r\n{upgrade}".encode())
    assert client.recv(4096).startswith(b"HTTP/1.1 101")
    return client


def test_websockets_are_connections_and_spread_as_such(
    write: Callable[..., Path], serve: Launch
) -> None:
    write("from fastapi import WebSocket\n" + WEBSOCKETS)
    process = serve("--workers", "2")

    def connections() -> list[int]:
        known = found(process.popen.pid)["processes"]
        return [each["connections"] for each in known if each["role"].startswith("worker")]

    clients = [upgraded(*process.url.removeprefix("http://").split(":")) for _ in range(20)]
    shares = connections()
    assert sum(shares) == 20
    assert min(shares) >= 8
    for client in clients:
        client.close()
    until(lambda: connections() == [0, 0])
    assert process.stop() == 0


def test_a_server_that_hangs_is_seen_too(write: Callable[..., Path], serve: Launch) -> None:
    write(APP, a=b"a")
    process = serve("--no-fork")
    assert process.get("/a").json() == "a"
    until(lambda: len(found(process.popen.pid)["processes"]) == 1)
    process.send(signal.SIGSTOP)
    shown = inspected(process.popen.pid)
    process.send(signal.SIGCONT)
    assert f"main:app on {process.url}, pid {process.popen.pid}, for" in shown
    [heading, _worker, together, *_] = shown.splitlines()[2:]
    assert heading.split()[:3] == ["process", "pid", "PSS"]
    assert together.startswith("together")
    assert process.stop() == 0
