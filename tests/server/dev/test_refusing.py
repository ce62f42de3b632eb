"""While an app does not run, whoever asks is told at once, however little the client keeps to."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from loadonce.server.dev import refusing
from loadonce.server.dev.refusing import Refusal
from loadonce.system.watching import Watch

Refused = tuple[Watch, Refusal, tuple[str, int]]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Iterator[Refused]:
    monkeypatch.setattr(refusing, "_PATIENCE", 0.05)
    watch = Watch(lambda _number: None, lambda _pid, _status: None)
    with watch.signals(), socket.create_server(("127.0.0.1", 0)) as listener:
        yield watch, Refusal(watch, listener), listener.getsockname()


def test_who_asks_is_told(refused: Refused) -> None:
    watch, refusal, address = refused
    refusal.begin()
    refusal.begin()  # is no more than once
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        watch.turn()
        head, _, body = client.recv(65_536).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert json.loads(body)["status"] == 503
    refusal.end()
    refusal.end()


def test_who_never_ends_is_not_heard_out(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusing, "_CHUNK", 1)
    watch, refusal, address = refused
    refusal.begin()
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(b"x" * 1000)
        watch.turn()  # comes back


def test_who_says_nothing_is_hung_up_on(refused: Refused) -> None:
    watch, refusal, address = refused
    refusal.begin()
    with socket.create_connection(address, timeout=5) as client:
        watch.turn()
        assert client.recv(1) == b""
