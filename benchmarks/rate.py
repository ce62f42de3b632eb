"""Requests at a fixed rate, whatever the answers do: latencies free of coordinated omission.

`wrk` waits for an answer before it asks again, so that a server that stalls is asked less while it
stalls. Here each request has its time and waits for no answer to another; its latency counts from
then, but for the timer's own lateness (up to 2 ms), which is no server's fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

from .figures import percentile

_TIMEOUT: Final = 10.0
_MOST_OPEN: Final = 512


@dataclass(frozen=True, slots=True)
class Paced:
    """Latencies in milliseconds of `asked` requests at a fixed rate."""

    asked: int
    failed: int
    p50: float
    p95: float
    p99: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of one HTTP/1.1 request that keeps its connection."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def paced(port: int, requests: Sequence[bytes], rate: float, seconds: float) -> Paced:
    """Send `rate` requests a second for `seconds`, in turn, each at its time."""
    client = _Client(port)
    loop = asyncio.get_running_loop()
    start, count = loop.time(), max(1, int(rate * seconds))
    tasks = []
    for number in range(count):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        asked = client.ask(requests[number % len(requests)], loop.time())
        tasks.append(loop.create_task(asked))
    found = await asyncio.gather(*tasks)
    await client.close()
    good = [latency for latency in found if latency is not None]
    spread = [percentile(good, share) if good else _TIMEOUT * 1e3 for share in (0.5, 0.95, 0.99)]
    return Paced(count, count - len(good), *spread)


class _Client:
    """Connections to one server, as many as are needed at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._places = asyncio.Semaphore(_MOST_OPEN)

    async def ask(self, data: bytes, began: float) -> float | None:
        """Milliseconds from `began` to the whole answer; None for an error of any kind."""
        try:
            async with self._places, asyncio.timeout(_TIMEOUT):
                is_good = await self._exchange(data)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            return None
        return (asyncio.get_running_loop().time() - began) * 1e3 if is_good else None

    async def _exchange(self, data: bytes) -> bool:
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(data)
            head = await reader.readuntil(b"\r\n\r\n")
            await _read_body(reader, head.lower())
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return head.split(b" ", 2)[1].startswith(b"2")

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"transfer-encoding: chunked" in head:
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return body
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    return await reader.readexactly(int(length))
