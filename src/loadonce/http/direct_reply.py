"""What a handler returned becomes a response, as FastAPI makes it one; the usual kind at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import ResponseValidationError
from fastapi.utils import is_body_allowed_for_status_code
from pydantic import ValidationError
from starlette.background import BackgroundTasks
from starlette.responses import Response

from .direct_exchange import Exchange
from .direct_internals import build_response_args, endpoint_context
from .direct_plan import Plan

if TYPE_CHECKING:
    from starlette.types import Scope

_OK = 200
_NOTHING: list[Any] = []
_JSON = (b"content-type", b"application/json")


class Extras:
    """What functions that ask for a `Response` or for `BackgroundTasks` add to the answer."""

    def __init__(self) -> None:
        self.background_tasks: BackgroundTasks | None = None
        self.response = Response()
        del self.response.headers["content-length"]
        self.response.status_code = None  # type: ignore[assignment]  # FastAPI's "not set"

    def background(self) -> BackgroundTasks:
        """The tasks of this request."""
        if self.background_tasks is None:
            self.background_tasks = BackgroundTasks()
        return self.background_tasks


class Replies:
    """Makes the responses of one route.

    Args:
        plan: of the route.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._field = plan.response_field
        self._status = plan.status_code or _OK
        self._is_json = plan.is_default_class and plan.response_field is not None
        if plan.response_field is not None:
            adapter = plan.response_field._type_adapter
            self._validate = adapter.validator.validate_python
            self._to_json: Callable[[Any], bytes] = partial(
                adapter.serializer.to_json, **plan.response_options, warnings=True
            )

    def checked(self, result: Any) -> tuple[Any, list[Any]]:
        """The result as the response model has it, and what is wrong with it."""
        if self._field is None or isinstance(result, Response):
            return result, _NOTHING
        try:
            return self._validate(result, from_attributes=True), _NOTHING
        except ValidationError:  # FastAPI words what is wrong
            return self._field.validate(result, {}, loc=("response",))

    def made(
        self, scope: Scope, result: Any, checked: tuple[Any, list[Any]], extras: Extras | None
    ) -> bytes | Response:
        """The body of a JSON answer with nothing special about it, or else a whole response.

        Raises:
            ResponseValidationError: the result is none that the response model takes.
        """
        value, errors = checked
        if errors:
            raise ResponseValidationError(
                errors=errors, body=result, endpoint_ctx=self._endpoint_context(scope)
            )
        if isinstance(result, Response):
            if extras is not None and result.background is None:
                result.background = extras.background_tasks
            return result
        if self._is_json:
            content = self._to_json(value)
            return content if extras is None else self._response(content, extras)
        return self._response(self._content(value), extras or Extras())

    async def send(self, exchange: Exchange, reply: bytes | Response) -> None:
        """Send it, and run what is to be run afterwards."""
        if isinstance(reply, Response):
            await reply(exchange.scope, exchange.receive, exchange.send)
            return
        headers = [(b"content-length", b"%d" % len(reply)), _JSON]
        start = {"type": "http.response.start", "status": self._status, "headers": headers}
        await exchange.send(start)
        await exchange.send_more({"type": "http.response.body", "body": reply})

    def _content(self, value: Any) -> Any:
        if self._field is None:
            return jsonable_encoder(value)
        return self._field.serialize(value, **self._plan.response_options)

    def _response(self, content: Any, extras: Extras) -> Response:
        arguments = build_response_args(status_code=self._plan.status_code, solved_result=extras)
        if self._is_json:
            response = Response(content=content, media_type="application/json", **arguments)
        else:
            response = self._plan.response_class(content, **arguments)
        if not is_body_allowed_for_status_code(response.status_code):
            response.body = b""
        response.headers.raw.extend(extras.response.headers.raw)
        return response

    def _endpoint_context(self, scope: Scope) -> Any:
        context = endpoint_context(self._plan.endpoint.call)
        mounted_at = scope.get("root_path", "").rstrip("/")
        context["path"] = f"{scope['method']} {mounted_at}{self._plan.path}"
        return context
