"""Logs of a serving process: text on a terminal, JSON lines elsewhere; never a query string."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any, TextIO

from loadonce.errors import LoadOnceError
from loadonce.observe.events import LogLevel

_HIDDEN = "(text hidden, it may quote a request; --log-level debug shows it)"
_COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31;1", "DEBUG": "36"}


def configure_logging(
    level: LogLevel,
    *,
    access_log: bool,
    package: str = "",
    is_terminal: bool | None = None,
    shows_errors: bool = False,
    is_silent: bool = False,
) -> StartLines:
    """Send what loadonce, uvicorn and the app's own package log to standard error.

    Handlers that the app sets up itself when it is imported stay as they are.

    Args:
        level: for these; other libraries log from "warning" on.
        access_log: whether each request gets a line.
        package: the app's top-level package.
        is_terminal: text rather than JSON; by default whether standard error is a terminal.
        shows_errors: show the texts of foreign exceptions at every level, not at "debug" only.
        is_silent: another process tells of the models' start.

    Returns:
        The filter to tell when the start is over.
    """
    for_people = sys.stderr.isatty() if is_terminal is None else is_terminal
    is_open = shows_errors or level == "debug"
    formatter = TextFormatter(is_open) if for_people else JsonFormatter(is_open)
    handler = _StandardError()
    handler.setFormatter(formatter)
    lines = StartLines(handler, has_bars=for_people or is_silent)
    handler.addFilter(lines)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in {"loadonce", package} - {""}:
        logging.getLogger(name).setLevel(level.upper())
    if is_open and level != "critical":  # which failures of requests are not
        logging.getLogger("loadonce.http").setLevel(logging.DEBUG)
    for name in ("uvicorn.error", "uvicorn.access"):
        uvicorn_logger = logging.getLogger(name)
        uvicorn_logger.addFilter(drop_query)
        # uvicorn tells of each step and each WebSocket at "info"; loadonce tells of its own.
        quietest = logging.DEBUG if level == "debug" else logging.WARNING
        uvicorn_logger.setLevel(logging.INFO if name == "uvicorn.access" else quietest)
    access = logging.getLogger("uvicorn.access")
    access.propagate = access_log
    return lines


def format_line(level: int, message: str, fields: dict[str, object]) -> str:
    """One line in the form this process logs, made without taking any lock."""
    handlers = logging.getLogger().handlers
    formatter = handlers[0].formatter if handlers else None
    record = logging.LogRecord("loadonce", level, "", 0, "%s", (message,), None)
    record.loadonce = fields
    return (formatter or logging.Formatter()).format(record)


def drop_query(record: logging.LogRecord) -> bool:
    """A filter that cuts every logged path at its "?": health data may follow."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            argument.partition("?")[0] if isinstance(argument, str) else argument
            for argument in record.args
        )
    return True


class StartLines(logging.Filter):
    """What is shown of the models while an app starts.

    A failed start ends with one message that holds every failure, so the lines of single failures
    wait: they are written only if the app starts after all. On a terminal, bars show what is ready.

    Args:
        handler: writes the lines.
        has_bars: progress bars are shown, by whichever process; without them nothing is held back.
    """

    def __init__(self, handler: logging.Handler, *, has_bars: bool) -> None:
        super().__init__()
        self._handler = handler
        self._is_starting = has_bars
        self._held: list[logging.LogRecord] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write this record now."""
        fields = getattr(record, "loadonce", None)
        if not self._is_starting or not fields or "model" not in fields:
            return True
        if record.levelno > logging.INFO:
            self._held.append(record)
        return False

    def started(self) -> None:
        """The app serves: write what was held back, and everything from now on."""
        self._is_starting = False
        for record in self._held:
            self._handler.handle(record)
        self._held.clear()


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is at the time: progress bars replace it while they show."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute that never goes stale
        return sys.stderr


class _Formatter(logging.Formatter):
    """Shows where an exception comes from; its text only if it is loadonce's own.

    Foreign exceptions quote what they could not handle, which here may be health data.
    """

    def __init__(self, is_open: bool) -> None:
        super().__init__()
        self._is_open = is_open

    def formatException(self, ei: Any) -> str:
        """The traceback of `ei`, as `sys.exc_info()` gives it."""
        error = ei[1]
        if self._is_open or error is None:
            return super().formatException(ei)
        return "".join(_lines(error, set())).rstrip()


class TextFormatter(_Formatter):
    """Time, level, message: for people."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the lines of a traceback."""
        text = super().format(record).replace("\n\n", "\n")
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        colour = _COLOURS.get(record.levelname, "32")
        worker = getattr(record, "worker", None)
        text = text if worker is None else f"[{worker}] {text}"
        return f"\x1b[2m{clock}\x1b[0m \x1b[{colour}m{record.levelname.lower():8}\x1b[0m {text}"


class JsonFormatter(_Formatter):
    """One JSON object per line: time, level, logger, message, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields: Any = getattr(record, "loadonce", None)
        message = record.getMessage().strip()
        if fields is not None and record.args:
            message = str(record.args[0]) if isinstance(record.args, tuple) else message
        elif record.name == "uvicorn.access":
            message, fields = "request", _request_fields(record)
        line: dict[str, object] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}"
            f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            **(fields or {}),
        }
        if (worker := getattr(record, "worker", None)) is not None:
            line["worker"] = worker
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _request_fields(record: logging.LogRecord) -> dict[str, object]:
    names = ("client", "method", "path", "http_version", "status")
    values = record.args if isinstance(record.args, tuple) else ()
    return dict(zip(names, values, strict=False))


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    """The chain of exceptions as Python shows it, foreign texts left out."""
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, seen)
        yield "\nThe exception above led to:\n\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    text = str(error) if isinstance(error, LoadOnceError) else _HIDDEN
    yield f"{type(error).__module__}.{type(error).__qualname__}: {text}\n"
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _lines(each, seen)
