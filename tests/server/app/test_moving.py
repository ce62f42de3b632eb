"""Clients are told to connect anew with an answer, and only as many as others should have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loadonce.server.app.moving import CLOSE, let_move

_SHARED = [(b"date", b"today")]


@dataclass
class Cycle:
    """What uvicorn knows of a request."""

    response_started: bool = False
    default_headers: list[tuple[bytes, bytes]] = field(default_factory=lambda: _SHARED)

    @property
    def closes(self) -> bool:
        return CLOSE in self.default_headers


@dataclass
class Protocol:
    cycle: Cycle | None = None


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
