"""A response's head waits for its body, but not for long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from loadonce.server.app.joining import JoiningTransport, joining

pytestmark = pytest.mark.anyio

HEAD, BODY = b"HTTP/1.1 200 OK\r\n\r\n", b"fine"


class Wire:
    """What uvicorn writes to: keeps each write."""

    def __init__(self) -> None:
        self.writes: list[Any] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        self.writes.append(parts)

    def write_eof(self) -> None:
        self.writes.append("eof")

    def close(self) -> None:
        self.writes.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.writes


async def test_head_and_body_are_one_write() -> None:
    wire = Wire()
    transport = JoiningTransport(wire)
    for _ in range(2):
        transport.write(HEAD)
        transport.write(BODY)
    await asyncio.sleep(0)
    assert wire.writes == [HEAD + BODY] * 2


async def test_a_large_body_is_not_copied() -> None:
    wire, large = Wire(), bytes(2**17)
    transport = JoiningTransport(wire)
    transport.write(HEAD)
    transport.write(large)
    assert wire.writes == [(HEAD, large)]
    assert wire.writes[0][1] is large


async def test_a_head_whose_body_comes_later_goes_ahead() -> None:
    wire = Wire()
    transport = JoiningTransport(wire)
    transport.write(HEAD)
    assert wire.writes == []
    await asyncio.sleep(0)
    assert wire.writes == [HEAD]
    transport.write(BODY)
    transport.write(BODY)  # parts of a stream
    assert wire.writes == [HEAD, BODY, BODY]


async def test_nothing_is_lost_when_the_connection_closes() -> None:
    wire = Wire()
    transport = JoiningTransport(wire)
    transport.write(HEAD)
    transport.close()
    assert wire.writes == [HEAD, "closed"]
    assert transport.is_closing()
    await asyncio.sleep(0)
    assert wire.writes == [HEAD, "closed"]


async def test_no_other_way_to_write_overtakes_a_head() -> None:
    wire = Wire()
    transport = JoiningTransport(wire)
    transport.write(HEAD)
    transport.writelines((BODY, BODY))
    transport.writelines((BODY,))
    transport.write(HEAD)
    transport.write_eof()
    await asyncio.sleep(0)
    assert wire.writes == [(HEAD, BODY, BODY), (BODY,), HEAD, "eof"]


async def test_a_protocol_gets_such_a_transport() -> None:
    class Protocol:
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

    protocol = joining(Protocol)()
    protocol.connection_made(Wire())
    assert isinstance(protocol.transport, JoiningTransport)
    assert isinstance(protocol, Protocol)
