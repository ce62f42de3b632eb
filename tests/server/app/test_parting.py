"""Clients are told to connect anew with an answer, and only as many as others should have; at the
end those that are about to ask may."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from loadonce.server.app import parting
from loadonce.server.app.parting import CLOSE, let_move, say_goodbye

_SHARED = [(b"date", b"today")]


@dataclass
class Cycle:
    """What uvicorn knows of a request."""

    response_started: bool = False
    default_headers: list[tuple[bytes, bytes]] = field(default_factory=lambda: _SHARED)

    @property
    def closes(self) -> bool:
        return CLOSE in self.default_headers


@dataclass(eq=False)
class Protocol:
    cycle: Cycle | None = None
    is_told: bool = False

    def shutdown(self) -> None:
        """Close at once, or after the answer."""
        self.is_told = True


class WebSocket:
    """Another protocol, which knows no cycles."""

    is_told = False

    def shutdown(self) -> None:
        self.is_told = True


def told(connections: list[Any]) -> int:
    return sum(each.cycle.closes for each in connections if getattr(each, "cycle", None))


def test_so_many_clients_that_wait_are_told() -> None:
    connections = [Protocol(Cycle()) for _ in range(5)]
    let_move(connections, 0)
    assert told(connections) == 0
    let_move(connections, 2)
    assert told(connections) == 2
    assert _SHARED == [(b"date", b"today")]
    let_move(connections, 9)
    assert told(connections) == 5


def test_who_was_told_and_still_waits_is_not_forgotten() -> None:
    connections = [Protocol(Cycle()) for _ in range(5)]
    let_move(connections, 2)
    let_move(connections, 2)
    assert told(connections) == 2
    let_move(connections, 1)
    assert told(connections) == 2


def test_idle_and_upgraded_connections_stay_and_answers_under_way_go_on() -> None:
    connections: list[Any] = [Protocol(), Protocol(Cycle(response_started=True)), "a WebSocket"]
    let_move(connections, 3)
    assert told(connections) == 0


@pytest.mark.anyio
async def test_who_has_only_connected_may_still_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parting, "_FIRST_REQUEST", 0.01)
    asked, gone, silent, socket = Protocol(Cycle()), Protocol(), Protocol(), WebSocket()
    say_goodbye([silent], only_websockets=True)
    connections: list[Any] = [asked, gone, silent, socket]
    say_goodbye(connections)
    connections.remove(gone)
    assert (asked.is_told, silent.is_told, socket.is_told) == (True, False, True)
    for _ in range(200):
        if silent.is_told:
            assert not gone.is_told
            return
        await asyncio.sleep(0.01)
    raise AssertionError("who does not ask is waited for")
