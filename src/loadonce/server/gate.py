"""The gate all requests pass: while the process drains, answers carry `Connection: close`."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CLOSE = (b"connection", b"close")


class Gate:
    """Wraps the app.

    Attributes:
        is_draining: tell clients to leave: every answer closes its connection.
        is_closing: requests that are cancelled now are answered 503.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.is_draining = False
        self.is_closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (or connection, or the lifespan)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def closing_send(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                if self.is_draining:
                    message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
            await send(message)

        try:
            await self._app(scope, receive, closing_send)
        except asyncio.CancelledError:
            # Only the server cancels this task, which ends here: nobody above waits for the error.
            if not self.is_closing:
                raise
            if not has_started:
                await _answer_unavailable(send)


async def _answer_unavailable(send: Send) -> None:
    """503 as problem details (RFC 9457)."""
    body = json.dumps(
        {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "The server is shutting down; this request was not finished.",
        }
    ).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"1"),
        _CLOSE,
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
