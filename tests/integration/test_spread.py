"""Connections are spread evenly over the workers, at every start."""

from __future__ import annotations

import signal
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.nightly, pytest.mark.timeout(600)]

APP = """
import os
app = FastAPI()

@app.get("/pid")
async def pid() -> int:
    return os.getpid()
"""

# As if each worker took whatever it saw first.
GREEDY = """
from loadonce.server.app.accepting import Share
Share.__call__ = lambda self: True
"""

_CONNECTIONS = 64
_STARTS = 20


def spread(process: Any) -> list[int]:
    """How many of the connections each worker has got."""
    host, port = process.url.removeprefix("http://").split(":")
    clients = [socket.create_connection((host, int(port)), 20) for _ in range(_CONNECTIONS)]
    for client in clients:
        client.sendall(b"GET /pid HTTP/1.1\r\nHost: test\r\n\r\n")
    answers = [_body(client) for client in clients]
    for client in clients:
        client.close()
    return sorted(Counter(answers).values())


def _body(client: socket.socket) -> bytes:
    answer = b""
    while not answer.partition(b"\r\n\r\n")[2]:
        answer += client.recv(4096)
    return answer.partition(b"\r\n\r\n")[2]


def worst(write: Callable[..., Path], serve: Callable[..., Any], code: str, workers: int) -> float:
    """The largest share over the smallest, of all starts."""
    write(code)
    ratios: list[float] = []
    for _ in range(_STARTS):
        process = serve("--workers", str(workers))
        shares = spread(process)
        ratios.append(shares[-1] / shares[0] if len(shares) == workers else float("inf"))
        assert process.stop(signal.SIGTERM, 20) == 0
    return max(ratios)


@pytest.mark.parametrize("workers", [2, 4])
def test_no_worker_has_half_as_many_again_as_another(
    write: Callable[..., Path], serve: Callable[..., Any], workers: int
) -> None:
    assert worst(write, serve, APP, workers) <= 1.5


def test_without_the_rule_some_have(write: Callable[..., Path], serve: Callable[..., Any]) -> None:
    """The control."""
    assert worst(write, serve, APP + GREEDY, 2) > 1.5
