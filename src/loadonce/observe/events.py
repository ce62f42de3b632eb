"""Events: what the manager announces, to whoever listens (log, progress bars, tests)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

LogLevel = Literal["critical", "error", "warning", "info", "debug"]

logger = logging.getLogger("loadonce")


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """One model changed.

    `what` is "declared", "verifying", "loading", "warming", "ready" ("adopted" in a worker that was
    forked after the load), "failed", "cancelled", "ended", "draining" or "unloaded"; `version` is
    the label that clients see ("" while unknown). Sizes are in bytes, `seconds` is how long the
    whole load took.
    """

    model: str
    what: str
    version: str = ""
    sha256: str = ""
    bytes_on_disk: int = 0
    bytes_in_memory: int = 0
    seconds: float = 0.0
    error: str = ""


Listener = Callable[[ModelEvent], None]


class Events:
    """Publishes each event to every listener, in order; a listener that raises is logged."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` for each event from now on; the returned function ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def publish(self, event: ModelEvent) -> None:
        """Tell every listener."""
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                logger.exception("a listener of loadonce's events raised")


def log_event(event: ModelEvent) -> None:
    """Write one structured line for a model that became ready, failed or was unloaded."""
    fields: dict[str, object] = {"model": event.model}
    if event.what == "ready":
        fields |= {
            "version": event.version,
            "sha256": event.sha256,
            "bytes": event.bytes_on_disk,
            "seconds": round(event.seconds, 3),
            "memory_added": event.bytes_in_memory,
        }
        log_fields(logging.INFO, "model ready", fields)
    elif event.what == "failed":
        log_fields(logging.ERROR, "model failed", fields | {"reason": _one_line(event.error)})
    elif event.what == "cancelled":
        log_fields(logging.INFO, "load cancelled", fields)
    elif event.what == "unloaded":
        log_fields(logging.INFO, "model unloaded", fields | {"version": event.version})


def log_fields(level: int, message: str, fields: Mapping[str, object]) -> None:
    """Write one line: a message, and fields that JSON logs keep apart."""
    line = " ".join(f"{name}={value}" for name, value in fields.items())
    logger.log(level, "%s: %s", message, line, extra={"loadonce": fields})


def _one_line(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines())
