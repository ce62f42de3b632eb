"""FastAPI exception handlers: every error becomes a problem document, or closes a WebSocket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import (
    http_exception_handler,
    request_validation_exception_handler,
    websocket_request_validation_exception_handler,
)
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from loadonce.errors import UnavailableError

from .failures import log_failure
from .problems import Problem, internal_problem, problem_response, told_errors
from .validation import validation_problem

_TRY_AGAIN_LATER = 1013
_POLICY_VIOLATION = 1008

_Handler = Callable[[Any, Any], Awaitable[Response | None]]

_FASTAPIS_OWN: tuple[tuple[type[Exception], Callable[..., Any]], ...] = (
    (HTTPException, http_exception_handler),
    (RequestValidationError, request_validation_exception_handler),
    (WebSocketRequestValidationError, websocket_request_validation_exception_handler),
)


def add_handlers(app: FastAPI) -> None:
    """Answer errors with problem documents; handlers that the app already has are kept."""
    handlers: dict[Any, Any] = app.exception_handlers
    for kind, default in _FASTAPIS_OWN:
        if handlers.get(kind) is default:
            handlers[kind] = _OURS[kind]
    told: tuple[type[Exception], ...] = (Problem, *told_errors())
    for kind in told:
        handlers.setdefault(kind, answer)
    if 500 not in handlers:
        handlers.setdefault(Exception, answer_failure)


def leaves_failures_to_us(app: FastAPI) -> bool:
    """Whether the app has no handler of its own for whatever nobody handled."""
    handlers = app.exception_handlers
    return 500 not in handlers and handlers.get(Exception) is answer_failure


async def answer(connection: Request | WebSocket, error: Exception) -> Response | None:
    """Tell about an error that a client can do something about."""
    response = problem_response(connection, error)
    if isinstance(connection, Request):
        return response
    is_temporary = isinstance(error, UnavailableError)
    await _refuse(connection, response, _TRY_AGAIN_LATER if is_temporary else _POLICY_VIOLATION)
    return None


async def answer_validation(
    connection: Request | WebSocket, error: RequestValidationError | WebSocketRequestValidationError
) -> Response | None:
    """Tell which fields broke which rules, and never a value."""
    return await answer(connection, validation_problem(error.errors()))


async def answer_failure(request: Request, error: Exception) -> Response:
    """Tell an id, and log the reason under it: the last resort, outside of all middleware."""
    return problem_response(request, internal_problem(log_failure(error, request.scope)))


async def _refuse(socket: WebSocket, response: Response, code: int) -> None:
    """Answer the handshake with the problem where the server can; else close with a code."""
    if socket.application_state is WebSocketState.DISCONNECTED:
        return
    is_handshake = socket.application_state is WebSocketState.CONNECTING
    if is_handshake and "websocket.http.response" in socket.scope.get("extensions", {}):
        await socket.send_denial_response(response)
    else:
        await socket.close(code)


_OURS: dict[type[Exception], _Handler] = {
    HTTPException: answer,
    RequestValidationError: answer_validation,
    WebSocketRequestValidationError: answer_validation,
}
