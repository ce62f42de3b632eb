"""Writing down why a request failed, without a word of what was submitted.

The text of a foreign exception often quotes its input ("could not convert string to float: ..."),
so only its type and where it was raised are logged, unless the logger is set to debug.
"""

from __future__ import annotations

import logging
import sysconfig
import traceback
import uuid
from collections.abc import Iterator, MutableMapping
from functools import cache, lru_cache
from pathlib import Path, PurePath
from typing import Any

from loadonce.errors import LoadOnceError

from .problems import request_id_of

logger = logging.getLogger("loadonce.http")

_LOGGED = "loadonce.failure"
_MOST_FRAMES = 20
_MOST_CAUSES = 5
_INSTALLED = frozenset({"site-packages", "dist-packages"})


class RequestFailedError(LoadOnceError):
    """Ends a connection whose response had begun when the handler failed; the log has the reason.

    Raised to the server in place of the handler's exception, which may quote the request.
    """

    def __init__(self, reference: str) -> None:
        super().__init__(f"a request failed after its response had begun (id {reference})")


def log_failure(error: BaseException, scope: MutableMapping[str, Any]) -> str:
    """Log the type and origin of `error` and of its causes, and which route it was.

    Returns:
        The id under which it is logged: the request's, or a new one. A request's failure is logged
        once, however many layers see it.
    """
    if (known := scope.get(_LOGGED)) is not None:
        return str(known)
    scope[_LOGGED] = reference = request_id_of(scope) or uuid.uuid4().hex
    route = getattr(scope.get("route"), "path", "") or "(no route)"
    fields = {
        "reference": reference,
        "method": scope.get("method", "WEBSOCKET"),
        "route": route,
        "error": _name(error),
        "where": _where(error),
    }
    line = " ".join(f"{name}={value}" for name, value in fields.items())
    is_open = logger.isEnabledFor(logging.DEBUG)  # whoever debugs gets the text too
    story = "" if is_open else "".join(_story(error))
    logger.error(
        "%s\n%s",
        f"request failed: {line}",
        story,
        exc_info=error if is_open else None,
        extra={"loadonce": fields if is_open else fields | {"trace": story}},
    )
    return reference


def _story(error: BaseException) -> Iterator[str]:
    """The traceback of `error`, its causes and its parts, without their texts."""
    seen = 0
    waiting: list[tuple[str, BaseException]] = [("", error)]
    while waiting and seen < _MOST_CAUSES:
        label, one = waiting.pop(0)
        seen += 1
        yield f"{label}{_name(one)}{_own_words(one)}\n"
        yield from traceback.StackSummary.from_list(_frames(one)).format()
        if one.__cause__ is not None:
            waiting.append(("caused by ", one.__cause__))
        elif one.__context__ is not None and not one.__suppress_context__:
            waiting.append(("while handling ", one.__context__))
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(("one of ", part) for part in one.exceptions)


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def _own_words(error: BaseException) -> str:
    """Errors of loadonce say what to do and hold no request data; others are not quoted."""
    return f": {error}" if isinstance(error, LoadOnceError) else ""


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return list(traceback.extract_tb(error.__traceback__, limit=-_MOST_FRAMES))


def _where(error: BaseException) -> str:
    """The innermost line of the app's own code; of any code where there is none of the app's."""
    found = "?"
    is_own = False
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = frame.f_code.co_filename
        if _is_apps_own(path) or not is_own:
            found = f"{path}:{line}"
        is_own = is_own or _is_apps_own(path)
    return found


@lru_cache(maxsize=1024)
def _is_apps_own(path: str) -> bool:
    """Whether a file is neither installed nor Python's own nor loadonce's."""
    if path.startswith("<") or not _INSTALLED.isdisjoint(PurePath(path).parts):
        return False
    return not any(PurePath(path).is_relative_to(root) for root in _roots())


@cache
def _roots() -> tuple[Path, ...]:
    """Where Python's standard library and loadonce lie."""
    paths = sysconfig.get_paths()
    return Path(paths["stdlib"]), Path(paths["platstdlib"]), Path(__file__).parents[1]
