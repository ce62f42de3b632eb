"""The gate all requests pass: while the process drains, answers carry `Connection: close`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from loadonce.http.problems import SERVICE_UNAVAILABLE, Problem, problem_response

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
                await _answer_unavailable(scope, receive, send)


async def _answer_unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    problem = Problem(
        SERVICE_UNAVAILABLE,
        detail="The server is shutting down; this request was not finished.",
        headers={"Connection": "close"},
        retry_after=1,
    )
    await problem_response(HTTPConnection(scope), problem)(scope, receive, send)
