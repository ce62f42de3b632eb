"""RFC 9457 problem details: what a client is told when something went wrong.

The only module of loadonce that knows HTTP status codes.
"""

from __future__ import annotations

import json
import logging
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response

from loadonce.errors import (
    DeadlineExceededError,
    FailedError,
    ModelError,
    NotReadyError,
    QuarantinedError,
    QueueFullError,
    UnavailableError,
)

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

BAD_REQUEST = 400
UNSUPPORTED_MEDIA_TYPE = 415
UNPROCESSABLE = 422
INTERNAL_ERROR = 500
SERVICE_UNAVAILABLE = 503
GATEWAY_TIMEOUT = 504
OK = 200

logger = logging.getLogger("loadonce")

MEDIA_TYPE = "application/problem+json"

# Whatever is not here is a mistake of the server's and answered 500 with an id only. That includes
# NotRunningError: a lifespan that was never entered does not heal by trying again, as 503 says.
_TABLE: tuple[tuple[type[Exception], int, str, str], ...] = (
    (NotReadyError, SERVICE_UNAVAILABLE, "not-ready", "Model not ready"),
    (FailedError, SERVICE_UNAVAILABLE, "failed", "Model failed to load"),
    (QuarantinedError, SERVICE_UNAVAILABLE, "quarantined", "Model in quarantine"),
    (QueueFullError, SERVICE_UNAVAILABLE, "queue-full", "Too many requests for this model"),
    (UnavailableError, SERVICE_UNAVAILABLE, "unavailable", "Model unavailable"),
    (DeadlineExceededError, GATEWAY_TIMEOUT, "deadline-exceeded", "No result in time"),
)

_NO_BODY = frozenset({204, 205, 304})


class Problem(HTTPException):
    """Raise it in a handler or dependency to answer with a problem document.

    Args:
        status: the HTTP status code.
        title: the kind of problem in a few words, the same each time; by default the status's.
        detail: what happened this time, for people. Never put submitted values here.
        code: a short name of the kind, for programs: `type` becomes "urn:problem-type:<code>"; a
            whole URI is taken as it is. Without one, `type` is "about:blank".
        headers: further response headers.
        members: further members of the document, e.g. `errors=[...]`. A `retry_after` in seconds
            also becomes the `Retry-After` header. Nested too deeply for JSON (some hundred levels)
            they are all left out, and the log says so.
    """

    def __init__(
        self,
        status: int,
        title: str = "",
        detail: str = "",
        *,
        code: str = "",
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        super().__init__(status, detail, dict(headers) if headers is not None else None)
        self.title = title or _phrase(status)
        self.code = code
        self.members = members


@dataclass(frozen=True, slots=True)
class _Document:
    status: int
    title: str
    detail: str
    code: str
    headers: Mapping[str, str]
    members: Mapping[str, object]


def problem_response(connection: HTTPConnection, error: Exception) -> Response:
    """The response that tells about `error`.

    A `Problem`, an `HTTPException` and the errors of loadonce that a client can do something about
    are told; anything else is a 500 that says nothing. The document names the request where
    `request.state.request_id` is set.

    Args:
        connection: the request (or WebSocket) that failed.
        error: why.
    """
    document = _document(error)
    headers = {"Cache-Control": "no-store", **document.headers}
    if document.status in _NO_BODY or document.status < OK:
        return Response(status_code=document.status, headers=headers)
    members = dict(document.members)
    if (wait := members.pop("retry_after", None)) is not None:
        members["retry_after"] = seconds = _retry_after(wait)
        headers["Retry-After"] = str(seconds)
    content: dict[str, object] = {
        "type": _type(document.code),
        "title": document.title,
        "status": document.status,
        "detail": document.detail,
    }
    if request_id := request_id_of(connection.scope):
        content |= {"instance": instance(request_id), "request_id": request_id}
    return Response(
        _rendered(content, members),
        status_code=document.status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def internal_problem(reference: str) -> Problem:
    """The problem that says nothing but an id, which the log names too."""
    return Problem(
        INTERNAL_ERROR,
        detail="The server failed to answer this request. Its log has the reason under this id.",
        instance=instance(reference),
    )


def told_errors() -> tuple[type[Exception], ...]:
    """The errors of loadonce that clients are told about."""
    return tuple(kind for kind, *_ in _TABLE)


def request_id_of(scope: Mapping[str, Any]) -> str:
    """The app's id of a request: `request.state.request_id`; "" where the app sets none."""
    found = scope.get("state", {}).get("request_id", "")
    return found if isinstance(found, str) else ""


def instance(reference: str) -> str:
    """The URI of one request, for `instance`."""
    return f"urn:request:{quote(reference, safe='')}"


def render(content: object) -> bytes:
    """JSON that is always valid: no NaN, no lone surrogates, nothing but ASCII."""
    return json.dumps(_plain(content), allow_nan=False, separators=(",", ":")).encode("ascii")


def _rendered(content: Mapping[str, object], members: Mapping[str, object]) -> bytes:
    try:
        return render({**content, **members})
    except RecursionError:
        logger.warning("a problem's members are left out: they are nested too deeply")
        return render(content)


def _document(error: Exception) -> _Document:
    if isinstance(error, Problem):
        return _Document(
            error.status_code,
            error.title,
            error.detail,
            error.code,
            error.headers or {},
            error.members,
        )
    if isinstance(error, HTTPException):
        title = _phrase(error.status_code)
        # FastAPI lets `detail` be anything; RFC 9457 wants a text there.
        is_text = isinstance(error.detail, str)
        members = {} if is_text or error.detail is None else {"context": error.detail}
        detail = error.detail if is_text else title
        return _Document(error.status_code, title, detail, "", error.headers or {}, members)
    for kind, status, code, title in _TABLE:
        if isinstance(error, kind):
            return _Document(status, title, _detail(error), f"loadonce:{code}", {}, _members(error))
    return _Document(INTERNAL_ERROR, _phrase(INTERNAL_ERROR), "", "", {}, {})


def _detail(error: Exception) -> str:
    if isinstance(error, ModelError):  # without the hint, which is for whoever runs the server
        return f"model '{error.model}': {error.problem}"
    return str(error)


def _members(error: Exception) -> dict[str, object]:
    names = ("model", "version", "retry_after")
    return {name: found for name in names if (found := getattr(error, name, None)) is not None}


def _retry_after(wait: object) -> int:
    """Whole seconds, at least 1, spread by a quarter so that clients do not come back together."""
    least = max(1, math.ceil(float(wait)) if isinstance(wait, int | float) else 1)
    return least + random.randint(0, max(1, least // 4))


def _type(code: str) -> str:
    if not code:
        return "about:blank"
    return code if "://" in code or code.startswith("urn:") else f"urn:problem-type:{code}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)
