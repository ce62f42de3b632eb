"""Parting from clients: those of a worker that has more than its share, and all at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import Any

from .websockets import is_websocket

CLOSE = (b"connection", b"close")  # a header of a response
_FIRST_REQUEST = 0.5  # seconds in which a client that has connected sends its first request


def let_move(connections: Iterable[Any], count: int) -> None:
    """Have so many clients connect anew, to whoever takes them: of those that wait for an answer,
    which tells them. To close a connection that is idle might lose what is on its way.

    Args:
        connections: uvicorn's protocols.
        count: clients that were told before and have not had their answer are among them.
    """
    cycles = [each.cycle for each in connections if getattr(each, "cycle", None) is not None]
    waiting = [cycle for cycle in cycles if not cycle.response_started]
    unaware = [cycle for cycle in waiting if CLOSE not in cycle.default_headers]
    told = len(waiting) - len(unaware)
    for cycle in unaware[: max(0, count - told)]:
        cycle.default_headers = [*cycle.default_headers, CLOSE]  # the list is everybody's


def say_goodbye(connections: Collection[Any], *, only_websockets: bool = False) -> None:
    """Close them: at once where nothing is asked, else after the answer.

    A client that has only just connected is about to ask: on a busy machine, or from far away, its
    request would meet a connection that is closed.
    """
    later = asyncio.get_running_loop().call_later
    for connection in list(connections):
        if only_websockets and not is_websocket(connection):
            continue
        if getattr(connection, "cycle", connection) is None:  # no request so far
            later(_FIRST_REQUEST, _close, connections, connection)
        else:
            connection.shutdown()


def _close(connections: Collection[Any], connection: Any) -> None:
    if connection in connections:  # it may have closed, or be a WebSocket's by now
        connection.shutdown()
