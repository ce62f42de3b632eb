"""What the guard holds of a body on its way."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from loadonce.http.guarded_body import GuardedBody

pytestmark = pytest.mark.anyio


async def test_each_chunk_is_held_once_however_many_come() -> None:
    """A client that sends a byte at a time must not have what came before copied each time."""
    chunks = [b"[", *[b"1,"] * 1000, b"1]"]
    waiting = iter(chunks)

    async def receive() -> MutableMapping[str, Any]:
        chunk = next(waiting)
        return {"type": "http.request", "body": chunk, "more_body": chunk is not chunks[-1]}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    body = GuardedBody(scope, receive, False, False)
    await body.receive()
    held = body._chunks
    assert held == [b"["]
    for _ in chunks[1:]:
        assert body._chunks is held
        await body.receive()
    assert held == chunks
    assert body._chunks is None  # nothing is held that the app does not hold anyway
