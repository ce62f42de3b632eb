"""Signals: SIGTERM, SIGINT and SIGHUP ask the process to stop, a second SIGINT insists."""

from __future__ import annotations

import asyncio
import signal
from types import FrameType
from typing import Any, Self

from .deadline import Deadline

# Windows lacks one, and has commands that serve nothing.
STOP_SIGNALS = tuple(
    each for each in signal.Signals if each.name in ("SIGTERM", "SIGINT", "SIGHUP")
)

_LAST_SECONDS = 1.8  # for closing what is open, within the 2 s that are promised


class StopRequestedError(BaseException):
    """The process was asked to stop before it served; like KeyboardInterrupt, no Exception."""


class Stopping:
    """Whether this process was asked to stop, and how urgently.

    Used as a context manager it owns the signals. Before `attach` a signal interrupts whatever
    runs (the import of the app) with `StopRequestedError`; afterwards it wakes the event loop.

    Attributes:
        requested: set by the first signal.
        forced: set by the second SIGINT.
        is_serving: whether there are requests that deserve patience.
        is_replaced: another process serves on: nothing is announced.
        deadline: ends the process if nothing else does.
        signal_name: of the last signal; "" while none came.

    Args:
        deadline: armed by the first signal, so that the process ends even if nothing reacts.
        interrupts: how many SIGINT force the end; a supervisor counts for its workers.
        patience: the seconds an orderly stop may take, once serving, before the last moments.
    """

    def __init__(self, deadline: Deadline, patience: float, *, interrupts: int = 2) -> None:
        self.requested = asyncio.Event()
        self.forced = asyncio.Event()
        self.is_serving = False
        self.is_replaced = False
        self.signal_name = ""
        self.deadline = deadline
        self._patience = patience
        self._interrupts = 0
        self._forcing = interrupts
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in STOP_SIGNALS:
            is_nohup = number.name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN
            if not is_nohup:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_exc: object) -> None:
        # What follows a stop is the end of the process: a signal that is repeated in these last
        # moments must not turn a clean exit into a killed one.
        is_ending = bool(self.signal_name)
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if is_ending else handler)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on signals tell this event loop, which runs in the main thread."""
        self._loop = loop

    def detach(self) -> None:
        """The event loop has ended: a signal only hastens the end now."""
        self._loop = None
        self.requested.set()

    def replace(self) -> None:
        """Another process serves on: take nothing more, finish, end. Call it on the event loop."""
        self.is_replaced = True
        self.requested.set()

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        # In the main thread, between any two bytecodes, also while a handler blocks the loop.
        self.signal_name = signal.Signals(number).name
        self._interrupts += number == signal.SIGINT
        is_forced = self._interrupts >= self._forcing
        patience = self._patience if self.is_serving and not is_forced else 0.0
        self.deadline.arm(patience + _LAST_SECONDS)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._tell, is_forced)
        elif not self.requested.is_set():
            self.requested.set()
            raise StopRequestedError

    def _tell(self, is_forced: bool) -> None:
        self.requested.set()
        if is_forced:
            self.forced.set()
