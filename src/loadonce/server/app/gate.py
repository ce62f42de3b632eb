"""The gate all requests pass: those that are cut off at the end are answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from loadonce.http.problems import SERVICE_UNAVAILABLE, Problem, problem_response

from .departing import TASK

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Gate:
    """Wraps the app.

    Attributes:
        is_closing: requests that are cancelled now are answered 503.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.is_closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (or connection, or the lifespan)."""
        try:
            if scope["type"] == "http":
                scope[TASK] = asyncio.current_task()
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # Only the server cancels this task, which ends here: nobody above waits for the error.
            if not self.is_closing or scope["type"] != "http":
                raise
            if not _has_started(send):
                await _answer_unavailable(scope, receive, send)


def _has_started(send: Send) -> bool:
    """Whether the response has begun: uvicorn's `send` is a method of what knows it."""
    return bool(getattr(getattr(send, "__self__", None), "response_started", False))


async def _answer_unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    problem = Problem(
        SERVICE_UNAVAILABLE,
        detail="The server is shutting down; this request was not finished.",
        headers={"Connection": "close"},
        retry_after=1,
    )
    await problem_response(HTTPConnection(scope), problem)(scope, receive, send)
