"""The gate: answers close their connections while it drains, what is cut off is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from loadonce.server.app.gate import Gate

pytestmark = pytest.mark.anyio

Message = MutableMapping[str, Any]

HTTP: Message = {"type": "http", "method": "GET", "path": "/", "headers": [], "state": {}}


async def _receive() -> Message:
    return {"type": "http.request"}


class Cycle:
    """What uvicorn's cycle is for the gate: it sends, and knows what has been sent."""

    def __init__(self) -> None:
        self.sent = Sent()
        self.response_started = False

    async def send(self, message: Message) -> None:
        self.response_started = True
        self.sent.append(message)


class Sent(list[Message]):
    async def __call__(self, message: Message) -> None:
        self.append(message)


async def answer(_scope: Message, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
    await send({"type": "http.response.body", "body": b"fine"})


async def hang(_scope: Message, _receive: Any, _send: Any) -> None:
    await asyncio.sleep(60)


async def begin_and_hang(_scope: Message, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await asyncio.sleep(60)


async def test_what_is_sent_passes_unchanged() -> None:
    sent = Sent()
    await Gate(answer)(HTTP, _receive, sent)
    assert sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]},
        {"type": "http.response.body", "body": b"fine"},
    ]


async def test_other_protocols_pass_unchanged() -> None:
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.extend(arguments)

    sent = Sent()
    scope: Message = {"type": "websocket"}
    await Gate(app)(scope, _receive, sent)
    assert seen == [scope, _receive, sent]


async def _cancelled(gate: Gate, cycle: Cycle, kind: str = "http") -> asyncio.Task[None]:
    task = asyncio.ensure_future(gate({**HTTP, "type": kind}, _receive, cycle.send))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    return task


async def test_a_request_that_is_cut_off_is_answered() -> None:
    gate, cycle = Gate(hang), Cycle()
    gate.is_closing = True
    task = await _cancelled(gate, cycle)
    assert not task.cancelled()
    assert cycle.sent[0]["status"] == 503
    headers = dict(cycle.sent[0]["headers"])
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"connection"] == b"close"
    assert int(headers[b"retry-after"]) >= 1
    assert json.loads(cycle.sent[1]["body"])["detail"].startswith("The server is shutting down")


async def test_an_answer_that_has_begun_is_left_as_it_is() -> None:
    gate, cycle = Gate(begin_and_hang), Cycle()
    gate.is_closing = True
    await _cancelled(gate, cycle)
    assert [message["type"] for message in cycle.sent] == ["http.response.start"]


async def test_any_other_cancellation_passes() -> None:
    assert (await _cancelled(Gate(hang), Cycle())).cancelled()
    gate = Gate(hang)
    gate.is_closing = True
    assert (await _cancelled(gate, Cycle(), "websocket")).cancelled()
