"""Serving a request by a plan: bytes to validated values, the handler, and its answer in one go.

Whatever turns out to be unusual (a body that is no valid one, overrides, telemetry) goes to
FastAPI's own path before any function of the app has been called; so the answer to it is FastAPI's.
"""

from __future__ import annotations

import email.message
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from loadonce.lifecycle.dependency import USED
from loadonce.lifecycle.model import Raw, take_lease

from .direct_exchange import Exchange
from .direct_json import reader_of
from .direct_plan import Plan, Step
from .direct_reply import Extras, Replies
from .fastapi_internals import FUNCTION_STACK, REQUEST_STACK

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from loadonce.lifecycle.handle import Handle
    from loadonce.lifecycle.model import Model

_PLAIN_JSON = b"application/json"
_LONGEST_REMEMBERED = 64  # bytes of a content type

_Values = dict[str, Any]


class DirectCall:
    """The ASGI app of a direct route.

    Args:
        plan: what to do.
        plain: gives FastAPI's own app of the same route.
    """

    def __init__(self, plan: Plan, plain: Callable[[], ASGIApp]) -> None:
        self._plan = plan
        self._plain = plain
        self._replies = Replies(plan)
        self._read = _no_body if plan.body is None else reader_of(plan.body)
        self._steps = steps = (*plan.steps, plan.endpoint)
        self._hands_out_requests = any(step.requests for step in steps)
        self._has_extras = any(step.response or step.background for step in steps)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_for_fastapi(scope):
            await self._plain()(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        try:
            arguments = await self._arguments(exchange)
            if arguments is None:
                await self._plain()(scope, exchange.replay, send)
                return
            try:
                if self._hands_out_requests:
                    await self._answer_with_stacks(exchange, arguments)
                else:
                    await self._answer(exchange, arguments)
            except Exception as error:
                await exchange.fail(error)
        finally:
            exchange.close()

    def _is_for_fastapi(self, scope: Scope) -> bool:
        if scope.get("fastapi.telemetry") is not None:
            return True
        overrides = getattr(self._plan.provider, "dependency_overrides", ())
        return bool(overrides) and not self._plan.calls.isdisjoint(overrides)

    async def _arguments(self, exchange: Exchange) -> list[_Values] | None:
        """What each step is called with of the request's values, the endpoint last; None if FastAPI
        has to say what is wrong with them."""
        field = self._plan.body
        body = await exchange.read() if field is not None else b""
        if field is not None and not (body and self._sends_json(exchange.scope)):
            return None
        try:
            found = [_parameters(exchange, step) if step.parameters else {} for step in self._steps]
            if field is not None:
                found[-1][field.name] = self._read(body)
        except Exception:  # also what validators of the app raise; FastAPI's path meets it again
            return None
        return found

    def _sends_json(self, scope: Scope) -> bool:
        for name, value in scope["headers"]:
            if name == b"content-type":
                if value == _PLAIN_JSON:
                    return True
                return _is_json(value) if value else not self._plan.is_strict
        return not self._plan.is_strict

    async def _answer(self, exchange: Exchange, arguments: list[_Values]) -> None:
        held: list[Handle[Any]] = []
        exchange.scope[USED] = held
        try:
            reply = await self._reply(exchange, arguments, held)
            await self._replies.send(exchange, reply)
        finally:
            _release(held)

    async def _answer_with_stacks(self, exchange: Exchange, arguments: list[_Values]) -> None:
        """For functions that get the request, in whose scope FastAPI keeps its exit stacks."""
        held: list[Handle[Any]] = []
        exchange.scope[USED] = held
        try:
            async with AsyncExitStack() as request_stack:
                exchange.scope[REQUEST_STACK] = request_stack
                async with AsyncExitStack() as function_stack:
                    exchange.scope[FUNCTION_STACK] = function_stack
                    reply = await self._reply(exchange, arguments, held)
                await self._replies.send(exchange, reply)
        finally:
            _release(held)

    async def _reply(
        self, exchange: Exchange, arguments: list[_Values], held: list[Handle[Any]]
    ) -> bytes | Response:
        extras = Extras() if self._has_extras else None
        request = await exchange.request() if self._hands_out_requests else None
        results: list[Any] = []
        for step, values in zip(self._plan.steps, arguments, strict=False):  # the endpoint is left
            if step.is_leased:
                results.append(await _lease(step.call, held))
            else:
                _complete(step, values, results, request, extras)
                results.append(await _call(step, values))
        endpoint, values = self._plan.endpoint, arguments[-1]
        _complete(endpoint, values, results, request, extras)
        if endpoint.is_coroutine:
            result = await endpoint.call(**values)
            checked = self._replies.checked(result)
        else:
            result, checked = await run_in_threadpool(self._called_and_checked, values)
        return self._replies.made(exchange.scope, result, checked, extras)

    def _called_and_checked(self, values: _Values) -> tuple[Any, tuple[Any, list[Any]]]:
        result = self._plan.endpoint.call(**values)
        return result, self._replies.checked(result)


def _no_body(_body: bytes) -> None:
    """A route without one."""


async def _call(step: Step, values: _Values) -> Any:
    if step.is_coroutine:
        return await step.call(**values)
    return await run_in_threadpool(step.call, **values)


async def _lease(model: Model[Any] | Raw[Any], held: list[Handle[Any]]) -> Any:
    if isinstance(model, Raw):
        return (await _lease(model.model, held)).value
    handle = await take_lease(model)
    held.append(handle)
    return handle


def _release(held: list[Handle[Any]]) -> None:
    for handle in reversed(held):
        handle.release()


def _complete(
    step: Step,
    values: _Values,
    results: list[Any],
    request: Request | None,
    extras: Extras | None,
) -> None:
    """Add what does not come from the request's values."""
    for name, place in step.results:
        values[name] = results[place]
    for name in step.requests:
        values[name] = request
    if extras is not None:
        if step.response is not None:
            values[step.response] = extras.response
        if step.background is not None:
            values[step.background] = extras.background()


def _parameters(exchange: Exchange, step: Step) -> _Values:
    """The values that path, query, headers and cookies give the step."""
    found: _Values = {}
    for parameters in step.parameters:
        found |= parameters.values(exchange)
    return found


def _is_json(content_type: bytes) -> bool:
    if len(content_type) > _LONGEST_REMEMBERED:
        return _is_json_type.__wrapped__(content_type)
    return _is_json_type(content_type)


@lru_cache(maxsize=64)
def _is_json_type(content_type: bytes) -> bool:
    """Whether FastAPI takes a body of this type for JSON."""
    message = email.message.Message()
    message["content-type"] = content_type.decode("latin-1")
    if message.get_content_maintype() != "application":
        return False
    subtype = message.get_content_subtype()
    return subtype == "json" or subtype.endswith("+json")
