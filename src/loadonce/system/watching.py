"""Waiting for messages, signals, ends of processes and times, in a process that may fork."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .channel import Channel, Message, close_descriptors

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Watch:
    """Calls back; a process that does everything in these calls can fork at any time.

    Args:
        on_signal: told SIGTERM, SIGINT and SIGHUP.
        on_end: told each child that has ended, and how, orphans included that it has adopted.
    """

    def __init__(
        self, on_signal: Callable[[signal.Signals], None], on_end: Callable[[int, int], None]
    ) -> None:
        self._on_signal = on_signal
        self._on_end = on_end
        self._selector = selectors.DefaultSelector()
        self._wakeup, self._written = socket.socketpair()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Take the signals while the block runs; ignore those that ask to stop afterwards."""
        self._wakeup.setblocking(False)
        self._written.setblocking(False)
        self._selector.register(self._wakeup, selectors.EVENT_READ, self._receive_signals)
        for number in _SIGNALS:
            signal.signal(number, _noted)
        signal.set_wakeup_fd(self._written.fileno())
        try:
            yield
        finally:
            self._put_back(signal.SIG_IGN)  # a repeated stop must not spoil the exit code

    def forget(self) -> None:
        """In a process that was forked from this one: nothing of this is its business."""
        self._put_back(signal.SIG_DFL)

    def turn(self) -> None:
        """Wait for the next events and handle them."""
        due = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        for key, _events in self._selector.select(due):
            key.data()
        while self._timers and self._timers[0][0] <= time.monotonic():
            _when, _order, act = heapq.heappop(self._timers)
            act()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` once, later."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), act))

    def look(self, listener: socket.socket, act: Callable[[], None]) -> None:
        """Call `act` whenever a client waits on a listening socket."""
        self._selector.register(listener, selectors.EVENT_READ, act)

    def look_away(self, listener: socket.socket) -> None:
        """Let its clients wait until somebody looks again."""
        self._selector.unregister(listener)

    def listen(
        self, channel: Channel, hear: Callable[[Message], None], gone: Callable[[], None]
    ) -> None:
        """Call `hear` with each message that comes, and `gone` when the other end is closed."""
        channel.set_blocking(False)
        self._selector.register(
            channel, selectors.EVENT_READ, lambda: self.drain(channel, hear, gone)
        )

    def drain(
        self, channel: Channel, hear: Callable[[Message], None], gone: Callable[[], None]
    ) -> None:
        """Hear what has come already."""
        with contextlib.suppress(BlockingIOError):
            while channel.is_open:  # what is heard may close it
                received = channel.receive()
                if received is None:
                    self._unregister(channel)
                    gone()
                    return
                message, descriptors = received
                close_descriptors(descriptors)
                hear(message)

    def hang_up(self, channel: Channel) -> None:
        """Close a channel, if it is open."""
        if channel.is_open:
            self._unregister(channel)
            channel.close()

    # -- steps ---------------------------------------------------------------------------------

    def _put_back(self, handler: signal.Handlers) -> None:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else handler)
        self._selector.close()
        self._wakeup.close()
        self._written.close()

    def _receive_signals(self) -> None:
        for number in self._wakeup.recv(4096):
            if number == signal.SIGCHLD:
                self._reap()
            else:
                self._on_signal(signal.Signals(number))

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, encoded = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._on_end(pid, os.waitstatus_to_exitcode(encoded))

    def _unregister(self, channel: Channel) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(channel)


def _noted(_number: int, _frame: object) -> None:
    """The wakeup descriptor tells."""
