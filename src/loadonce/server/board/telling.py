"""What is told of a server, to the log and to systemd."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from loadonce.observe.events import log_fields
from loadonce.system.page import Page
from loadonce.system.systemd import Notifier

from .server_info import ServerInfo

logger = logging.getLogger("loadonce")


def tell_ready(url: str, began: float, models: int, workers: int = 1) -> None:
    """The line that says where the app is served, and since when."""
    seconds = round(time.monotonic() - began, 2)
    line = f"ready on {url} in {seconds:g} s, {models} model{'s' if models != 1 else ''}"
    fields: dict[str, object] = {"url": url, "models": models, "seconds": seconds}
    if workers > 1:
        line += f", {workers} workers"
        fields["workers"] = workers
    logger.info("%s", line, extra={"loadonce": fields})


class Teller:
    """Tells of one server of workers.

    Args:
        info: what the server says of itself.
        page: where it says so, to other processes.
        began: when the program began, by `time.monotonic()`.
        notifier: tells systemd.

    Attributes:
        has_served: the first generation has been ready.
    """

    def __init__(self, info: ServerInfo, page: Page, began: float, notifier: Notifier) -> None:
        self.notifier = notifier
        self.has_served = False
        self._info = info
        self._page = page
        self._workers = info.workers
        self._url = info.url
        self._began = began
        self._show("")

    def step(self, what: str, fields: Mapping[str, object]) -> None:
        """A step of a start; of the first one of one worker, "ready" says it all."""
        is_detail = self._workers == 1 and not self.has_served
        log_fields(logging.DEBUG if is_detail else logging.INFO, what, fields)

    def ready(self, models: int) -> None:
        """The first generation serves."""
        self.has_served = True
        tell_ready(self._url, self._began, models, self._workers)
        self._notify_ready(f"serving {self._url}")

    def reloading(self, what: str = "reloading") -> None:
        """Another generation loads, or comes back."""
        log_fields(logging.INFO, what, {"workers": self._workers})
        now = time.monotonic_ns() // 1000
        self.notifier.send(RELOADING=1, MONOTONIC_USEC=now, STATUS=what)

    def reloaded(self, seconds: float) -> None:
        """It serves."""
        log_fields(logging.INFO, "the new generation serves", {"seconds": round(seconds, 2)})
        self._notify_ready(f"serving {self._url}, reloaded")
        self._show("")

    def reload_failed(self, status: int, reason: str, *, serves: bool) -> None:
        """It does not.

        Args:
            status: how its process ended.
            reason: why, for everybody.
            serves: whether the former one does.
        """
        what = "the former models serve on" if serves else "nothing serves, trying again"
        log_fields(logging.ERROR, f"reload failed, {what}", {"status": status})
        self._notify_ready(f"reload failed, {what}")
        self._show(reason)

    def stopping(self, signal_name: str, *, is_told_by_worker: bool) -> None:
        """Asked to stop."""
        what = "stopping" if self.has_served else "stopped before it served"
        level = logging.DEBUG if is_told_by_worker and self._workers == 1 else logging.INFO
        log_fields(level, what, {"signal": signal_name})
        self.notifier.send(STOPPING=1, STATUS=what)

    def _show(self, reload_failure: str) -> None:
        self._info = replace(self._info, reload_failure=reload_failure)
        self._page.write(self._info.as_json())

    def _notify_ready(self, status: str) -> None:
        self.notifier.send(READY=1, STATUS=status)


def has_terminal() -> bool:
    """Whether somebody sits before this process."""
    return sys.stdin is not None and sys.stdin.isatty()
