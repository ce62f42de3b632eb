"""A request body on its way to the app, looked at as it passes."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from fastapi.routing import APIRoute

from .bodies import Finding, doubt_about_text, inspect, is_suspicious, is_too_deep, non_finite
from .direct import DirectRoute
from .fastapi_internals import route_context
from .problems import UNSUPPORTED_MEDIA_TYPE, Problem
from .validation import entry, not_json, unprocessable

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope

_MOST_HELD = 2**20  # bytes, of a body that a handler reads by itself
_HARDLY_ANY = 2**16  # bytes, held without asking who parses them
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_AS_IT_COMES = (APIRoute.get_route_handler, DirectRoute.get_route_handler)
_PLAIN = b"application/json"
_JSON = re.compile(rb"\s*[^;\s]+[/+]json\s*(?:;|$)", re.IGNORECASE)


class GuardedBody:
    """Passes chunks on and holds the last one back until the whole has been looked at.

    A body that FastAPI will parse is held by FastAPI too, so holding its chunks costs nothing; one
    that a handler reads by itself is looked at up to a megabyte and otherwise let through.

    Args:
        scope: of the request; tells the route once it is known.
        receive: where the chunks come from.
        allow_non_finite: let NaN and the infinities pass.
        is_encoded: whether the body is compressed, as its header says.
    """

    _chunks: list[bytes] | None = None
    _held = 0
    _body: bytes | None = None
    _doubts: tuple[Finding, ...] = ()

    def __init__(
        self, scope: Scope, receive: Receive, allow_non_finite: bool, is_encoded: bool
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._allow_non_finite = allow_non_finite
        self._is_encoded = is_encoded
        self._is_done = is_encoded  # nothing to look at

    async def receive(self) -> Message:
        """The next message.

        Raises:
            Problem: the body is complete, and refused; or it is compressed, and not even read.
        """
        if self._is_encoded and self._is_decoded_by_nobody():
            raise _encoded()
        message = await self._receive()
        if self._is_done or message["type"] != "http.request":
            return message
        chunk: bytes = message.get("body", b"")
        if self._chunks is None and not message.get("more_body", False):  # nearly always
            self._is_done = True
            self._look(chunk)
            return message
        if self._chunks is None:
            self._chunks = []
        self._chunks.append(chunk)
        self._held += len(chunk)
        if message.get("more_body", False):
            if self._held > _MOST_HELD and not self._will_be_parsed():
                self._finish()
        else:
            self._look(self._finish())
        return message

    @property
    def doubts(self) -> tuple[Finding, ...]:
        """Values of the body that the app may fail on."""
        return self._doubts

    def is_unparsable(self, error: BaseException) -> bool:
        """Whether `error` says that this very body, parsed by a handler itself, is no JSON."""
        if self._body is None:
            return False
        if isinstance(error, UnicodeDecodeError):
            parsed = bytes(error.object)
        elif isinstance(error, json.JSONDecodeError):
            parsed = error.doc.encode("utf-8", "surrogatepass")
        else:
            return False
        return parsed in (self._body, self._body.removeprefix(codecs.BOM_UTF8))

    def _finish(self) -> bytes:
        chunks, self._chunks = self._chunks, None
        self._is_done = True
        return b"".join(chunks or ())

    def _will_be_parsed(self) -> bool:
        """By FastAPI, or, before the route is known, by a middleware, whole."""
        return "route" not in self._scope or _body_field(self._scope) is not None

    def _is_decoded_by_nobody(self) -> bool:
        """FastAPI parses it as it comes; a route of a class of the app's own may decode it."""
        own = getattr(type(self._scope.get("route")), "get_route_handler", None)
        return own in _AS_IT_COMES and _body_field(self._scope) is not None

    def _look(self, body: bytes) -> None:
        if is_too_deep(body):
            raise not_json("The body is nested too deeply.")
        if len(body) <= _HARDLY_ANY or not self._will_be_parsed():
            self._body = body  # the handler parses it, and may fail
        if not is_suspicious(body):
            return
        found = inspect(body, allow_non_finite=self._allow_non_finite)
        if found.unreadable:
            raise not_json(found.unreadable)
        if refused := found.refused or self._refused_as_declared(found.value, found.doubtful):
            raise refusal_of(refused)
        self._doubts = found.doubtful

    def _refused_as_declared(
        self, value: object, doubtful: Sequence[Finding]
    ) -> tuple[Finding, ...]:
        """Texts like "nan" that the route's declaration turns into non-finite numbers."""
        field = _body_field(self._scope)
        if field is None or not any(one.rule == "finite_number" for one in doubtful):
            return ()
        try:
            validated, errors = field.validate(value, {}, loc=("body",))
            return () if errors else non_finite(field.serialize(validated, mode="python"))
        except Exception:  # a validator or serializer of the app's; it will fail in its own place
            return ()


def guarded(scope: Scope, receive: Receive, allow_non_finite: bool) -> GuardedBody | None:
    """The body of this request, if the app may take it for JSON."""
    content_type: bytes | None = None
    is_encoded = False
    for name, value in scope["headers"]:
        if name == b"content-type" and content_type is None:
            content_type = value
        elif name == b"content-encoding":
            is_encoded = is_encoded or _is_coding(value)
    if content_type is None:
        is_json = scope["method"] not in _WITHOUT_BODY
    else:
        is_json = content_type == _PLAIN or _JSON.match(content_type) is not None
    return GuardedBody(scope, receive, allow_non_finite, is_encoded) if is_json else None


def _is_coding(value: bytes) -> bool:
    return any(coding.strip().lower() not in (b"", b"identity") for coding in value.split(b","))


def _encoded() -> Problem:
    return Problem(
        UNSUPPORTED_MEDIA_TYPE,
        "Content-Encoding not supported",
        "This route takes bodies as they are: send it without compression and without "
        "Content-Encoding.",
        code="loadonce:content-encoding",
        headers={"Accept-Encoding": "identity"},  # RFC 9110, 15.5.16
    )


def refusal_of(findings: Sequence[Finding]) -> Problem:
    """The problem that names these values' places and rules."""
    return unprocessable([entry(one.path, one.rule, one.message) for one in findings])


def doubts_about_url(scope: Scope) -> tuple[Finding, ...]:
    """Values in path, query and declared headers that are hard on code that takes them for
    numbers."""
    query = scope.get("query_string", b"").decode("latin-1")
    values = [(("query", name), value) for name, value in parse_qsl(query, keep_blank_values=True)]
    values += [(("path", name), str(value)) for name, value in scope.get("path_params", {}).items()]
    declared = _declared_headers(scope)  # ids that proxies add are numbers too, and nobody's fault
    values += [
        (("header", name.decode("latin-1")), value.decode("latin-1"))
        for name, value in scope.get("headers", ())
        if name.decode("latin-1") in declared
    ]
    found = ((path, *doubt_about_text(text)) for path, text in values)
    return tuple(Finding(path, rule, message) for path, rule, message in found if rule)


def _body_field(scope: Scope) -> Any:
    """What FastAPI validates the route's body with; None where the route has none."""
    return _declared(scope, "body_field")


def _declared(scope: Scope, name: str) -> Any:
    """What FastAPI knows of the route, with what the routers around it add."""
    found = getattr(route_context(scope), name, None)
    return found if found is not None else getattr(scope.get("route"), name, None)


def _declared_headers(scope: Scope) -> frozenset[str]:
    """The names, in lower case, of the headers that the route and its dependencies ask for."""
    found: set[str] = set()
    waiting = [_declared(scope, "dependant")]
    while waiting:
        dependant = waiting.pop()
        found.update(field.alias.lower() for field in getattr(dependant, "header_params", ()))
        waiting += getattr(dependant, "dependencies", ())
    return frozenset(found)
