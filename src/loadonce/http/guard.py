"""The request guard: bodies that would make an app fail are refused, and failures are answered.

A pure ASGI middleware, so that streams, uploads and WebSockets pass through untouched. Nothing is
held that the app does not hold anyway.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import ResponseValidationError
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.websockets import WebSocketDisconnect

from loadonce.errors import CallerLeftError
from loadonce.lifecycle.dependency import USED

from .direct import log_direct_routes
from .failures import RequestFailedError, log_failure
from .guarded_body import GuardedBody, doubts_about_url, guarded, refusal_of
from .handlers import leaves_failures_to_us
from .problems import Problem, internal_problem, problem_response
from .validation import not_json
from .versions import tell_versions

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SEEN = "loadonce.guarded"
_BODY_LIMIT = "starlette.middleware.body_limit"  # its signals have no public type
# A handler, or a library that it calls, may exit: for a server that is a failure like others.
_FAILURES = (Exception, SystemExit, KeyboardInterrupt)
_BODY = frozenset({"http.response.body", "http.response.pathsend"})
_INTERNAL_ERROR = 1011  # a WebSocket's close code

# What code raises that was handed a value it cannot take.
_ABOUT_VALUES = (ValueError, TypeError, ArithmeticError, RecursionError, ResponseValidationError)


class Guard:
    """Stands between an app's middleware and its routes; `install` puts it there.

    Args:
        app: what comes next.
        owner: the FastAPI app it guards.
        allow_non_finite: let NaN and the infinities into the app.
        version_header: say which versions of models each answer comes from.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        owner: FastAPI,
        allow_non_finite: bool = False,
        version_header: bool = True,
    ) -> None:
        self._app = app
        self._owner = owner
        self._allow_non_finite = allow_non_finite
        self._version_header = version_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        body: GuardedBody | None = None
        if _SEEN not in scope:  # a mounted app's guard leaves bodies to the outer one
            scope[_SEEN] = True
            body = guarded(scope, receive, self._allow_non_finite)
            if body is not None:
                receive = body.receive
        response = _Response(send, scope if self._version_header else {})
        try:
            await self._app(scope, receive, response.send)
        except (ClientDisconnect, CallerLeftError):
            return
        except _FAILURES as error:
            if self._owner.debug or not leaves_failures_to_us(self._owner):
                raise
            if type(error).__module__ == _BODY_LIMIT:  # it has answered 413, or will
                raise
            await self._answer(error, scope, receive, response, body)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            log_direct_routes(self._owner)
            await self._app(scope, receive, send)

    async def _answer(
        self,
        error: BaseException,
        scope: Scope,
        receive: Receive,
        response: _Response,
        body: GuardedBody | None,
    ) -> None:
        connection = HTTPConnection(scope)
        if body is not None and body.is_unparsable(error) and not response.is_started:
            answer = problem_response(connection, not_json("The body is not valid JSON."))
            return await answer(scope, receive, response.send)
        reference = log_failure(error, scope)
        problem = _blame(error, scope, body)
        if not response.is_started:
            answer = problem_response(connection, problem or internal_problem(reference))
            await answer(scope, receive, response.send)
        is_tested = "http.response.debug" in scope.get("extensions", ())
        if problem is None and is_tested and isinstance(error, Exception):
            raise error  # a test client, which shows it to the test
        if not response.is_complete:
            raise RequestFailedError(reference) from None

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = _Socket(send)
        try:
            await self._app(scope, receive, socket.send)
        except WebSocketDisconnect:
            return
        except _FAILURES as error:
            if self._owner.debug:
                raise
            reference = log_failure(error, scope)
            with contextlib.suppress(OSError, RuntimeError):  # the client has left meanwhile
                await socket.close(scope, receive, reference)


class _Response:
    """How far the response has come.

    Args:
        send: sends it on.
        scope: where the handles are noted that it may tell about.
    """

    is_started = False
    is_complete = False

    def __init__(self, send: Send, scope: Scope) -> None:
        self._send = send
        self._scope = scope

    def send(self, message: Message) -> Awaitable[None]:
        """No coroutine of its own: every answer passes here twice."""
        kind = message["type"]
        if kind == "http.response.start":
            self.is_started = True
            # Taken out: of a mounted app's guard and the one around it, one tells.
            if used := self._scope.pop(USED, None):
                tell_versions(message, used)
        elif kind in _BODY and not message.get("more_body", False):
            self.is_complete = True
        return self._send(message)


class _Socket:
    """How far a WebSocket has come."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_accepted = False
        self._is_closed = False

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self._is_accepted = True
        elif message["type"] in ("websocket.close", "websocket.http.response.start"):
            self._is_closed = True
        await self._send(message)

    async def close(self, scope: Scope, receive: Receive, reference: str) -> None:
        """Tell the client that the server failed, in the way that is still possible."""
        if self._is_closed:
            return
        if not self._is_accepted and "websocket.http.response" in scope.get("extensions", {}):
            answer = problem_response(HTTPConnection(scope), internal_problem(reference))
            await answer(scope, receive, self.send)
        else:
            await self.send({"type": "websocket.close", "code": _INTERNAL_ERROR, "reason": ""})


def _blame(error: BaseException, scope: Scope, body: GuardedBody | None) -> Problem | None:
    """The request's fault, if it is: the app failed on a value that was doubtful from the start."""
    if not isinstance(error, _ABOUT_VALUES):
        return None
    doubts = (body.doubts if body is not None else ()) or doubts_about_url(scope)
    return refusal_of(doubts) if doubts else None
