"""What every request gets, whatever becomes of it: an id, and headers that keep answers private."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SANE: Final = re.compile(r"[A-Za-z0-9._:\-]{1,64}")
_API: Final = "/api/"
_HEADER: Final = "X-Request-ID"


def request_id_of(headers: Headers) -> str:
    """The client's X-Request-ID if it is one to 64 letters, digits or . _ : -; else a new one."""
    given = headers.getlist(_HEADER)
    is_sane = len(given) == 1 and _SANE.fullmatch(given[0])
    return given[0] if is_sane else uuid.uuid4().hex


def path_of(scope: Scope) -> str:
    """The path as the routes see it."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


class RequestContext:
    """Gives every request an id (`request.state.request_id`), echoes it, and forbids caches to keep
    what the API answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(Headers(scope=scope))
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        is_private = path_of(scope).startswith(_API)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[_HEADER] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                if is_private:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, send_with_headers)


class BodyLimit:
    """Refuses a body (413) as soon as more than `limit` bytes of it were announced or have come.

    FastAPI's own limit answers in plain text; this one is raised where the body is read, so that it
    becomes a problem document like every other error. `exceptions` are limits by path.
    """

    def __init__(self, app: ASGIApp, limit: int, exceptions: Mapping[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._exceptions = exceptions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._exceptions.get(path_of(scope), self._limit)
        announced = Headers(scope=scope).get("content-length", "")
        come = 0

        async def limited() -> Message:
            nonlocal come
            if announced.isdecimal() and int(announced) > limit:
                raise too_large(limit)
            message = await receive()
            come += len(message.get("body", b""))
            if come > limit:
                raise too_large(limit)
            return message

        await self._app(scope, limited, send)


def too_large(limit: int) -> HTTPException:
    """413, which says how much is accepted."""
    return HTTPException(413, f"the body may have at most {limit:,} bytes")
