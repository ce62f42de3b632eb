"""Clients that close their connection while they wait for a model."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

_CLIENTS = 300

CODE = """
import threading
from fastapi.routing import APIRoute
from loadonce.http import DirectRoute, install

class Models(Registry):
    words: Model[str] = artifact("words.bin", loader=text, placement="thread", threads=1)

models = Models(root=HERE / "models")
app = FastAPI(lifespan=models.lifespan)
app.router.route_class = ROUTE
install(app, models)
gate = threading.Event()

def hold(words: str) -> str:
    gate.wait(60)
    return words

def each(words: str, items: list[int]) -> list[str]:
    note(f"ran {len(items)}")
    return [words] * len(items)

@app.get("/hold")
async def held(words: Annotated[Handle[str], Depends(models.words)]) -> str:
    return await words.run(hold)

@app.get("/ask")
async def ask(words: Annotated[Handle[str], Depends(models.words)]) -> str:
    return await words.batch(each, 1)

@app.get("/open")
async def open_gate() -> None:
    gate.set()

@app.get("/counts")
async def counts() -> dict[str, int]:
    found = models.words.status().statistics
    return {"waiting": found.waiting, "cancelled": found.cancelled}
"""


def _ask(port: int, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    return connection


def _until(server: Any, **wanted: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        counts = json.loads(server.get("/counts").text)
        if all(counts[name] == count for name, count in wanted.items()):
            return
        assert time.monotonic() < deadline, counts
        time.sleep(0.02)


@pytest.mark.parametrize("route", ["APIRoute", "DirectRoute"])
def test_what_departed_clients_wait_for_does_not_run(
    serve: Callable[..., Any], write: Callable[..., Path], tmp_path: Path, route: str
) -> None:
    write(CODE.replace("ROUTE", route), words=b"w")
    server = serve("--no-access-log")
    server.wait_for("ready")
    port = int(server.url.rpartition(":")[2])
    with _ask(port, "/hold") as holder, _ask(port, "/ask") as stays:
        _until(server, waiting=1)
        departing = [_ask(port, "/ask") for _ in range(_CLIENTS)]
        _until(server, waiting=_CLIENTS + 1)
        for connection in departing:
            connection.close()
        _until(server, waiting=1, cancelled=_CLIENTS)
        server.get("/open")
        assert b" 200 " in holder.recv(100)
        assert b" 200 " in stays.recv(100)  # the control: who stays is answered
    assert server.stop() == 0
    assert (tmp_path / "notes.txt").read_text() == "ran 1\n"
    assert '"error"' not in server.output
    assert "Traceback" not in server.output
