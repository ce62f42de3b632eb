"""The gate: answers close their connections while it drains, what is cut off is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from loadonce.server.gate import Gate

pytestmark = pytest.mark.anyio

Message = MutableMapping[str, Any]

HTTP: Message = {"type": "http", "method": "GET", "path": "/", "headers": [], "state": {}}


async def _receive() -> Message:
    return {"type": "http.request"}


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


@pytest.mark.parametrize("is_draining", [False, True])
async def test_answers_close_connections_only_while_it_drains(is_draining: bool) -> None:
    gate, sent = Gate(answer), Sent()
    gate.is_draining = is_draining
    await gate(HTTP, _receive, sent)
    assert ((b"connection", b"close") in sent[0]["headers"]) is is_draining
    assert sent[1] == {"type": "http.response.body", "body": b"fine"}


async def test_other_protocols_pass_unchanged() -> None:
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.extend(arguments)

    sent = Sent()
    scope: Message = {"type": "websocket"}
    await Gate(app)(scope, _receive, sent)
    assert seen == [scope, _receive, sent]


async def _cancelled(gate: Gate, sent: Sent) -> asyncio.Task[None]:
    task = asyncio.ensure_future(gate(HTTP, _receive, sent))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    return task


async def test_a_request_that_is_cut_off_is_answered() -> None:
    gate, sent = Gate(hang), Sent()
    gate.is_closing = True
    task = await _cancelled(gate, sent)
    assert not task.cancelled()
    assert sent[0]["status"] == 503
    headers = dict(sent[0]["headers"])
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"connection"] == b"close"
    assert int(headers[b"retry-after"]) >= 1
    assert json.loads(sent[1]["body"])["detail"].startswith("The server is shutting down")


async def test_an_answer_that_has_begun_is_left_as_it_is() -> None:
    gate, sent = Gate(begin_and_hang), Sent()
    gate.is_closing = True
    await _cancelled(gate, sent)
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_any_other_cancellation_passes() -> None:
    assert (await _cancelled(Gate(hang), Sent())).cancelled()
