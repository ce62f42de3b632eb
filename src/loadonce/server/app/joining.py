"""A response's head and body in one write: uvicorn writes each by itself, two system calls and two
packets for an answer that fits into one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_HEAD = b"HTTP/1.1 "
_COPIED = 2**16  # bytes; a longer body is not copied behind its head


class JoiningTransport:
    """Holds a response's head back until its body comes, or the loop's turn ends.

    What it does not know it leaves to the transport it stands for.
    """

    __slots__ = ("_call_soon", "_held", "_is_expected", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._call_soon = asyncio.get_running_loop().call_soon
        self._held = b""
        self._is_expected = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data`; soon, if it is the head of a response."""
        if self._held:
            head, self._held = self._held, b""
            if len(data) > _COPIED:
                self._transport.writelines((head, data))
            else:
                self._transport.write(head + data)
        elif data.startswith(_HEAD):
            self._held = data
            if not self._is_expected:
                self._is_expected = True
                self._call_soon(self._end_turn)
        else:
            self._transport.write(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        """Send them at one go, behind what was held."""
        head, self._held = self._held, b""
        self._transport.writelines((head, *parts) if head else parts)

    def write_eof(self) -> None:
        """Send nothing after what was held."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Close once all is sent."""
        self._flush()
        self._transport.close()

    def _end_turn(self) -> None:
        self._is_expected = False
        self._flush()

    def _flush(self) -> None:
        if self._held:
            head, self._held = self._held, b""
            self._transport.write(head)


def joining(protocol: type[Any]) -> type[Any]:
    """An HTTP protocol of uvicorn whose answers are written at one go."""

    class Joining(protocol):  # type: ignore[misc]  # a class that is only known now
        def connection_made(self, transport: Any) -> None:
            super().connection_made(JoiningTransport(transport))

    return Joining
