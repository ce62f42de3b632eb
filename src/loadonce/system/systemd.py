"""What systemd is told of a service with `Type=notify` (sd_notify(3))."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, MutableMapping
from typing import Self


class Notifier:
    """Sends datagrams to whoever started this process and listens; else it does nothing.

    Args:
        address: of the socket: a path, or a name in the abstract namespace after "@"; "" if nobody
            listens.
        watchdog: seconds within which it wants a sign of life; 0 for never.
    """

    def __init__(self, address: str, watchdog: float = 0.0) -> None:
        self._address = address
        self._watchdog = watchdog

    @classmethod
    def taken(cls, environment: MutableMapping[str, str]) -> Self:
        """As the environment says; the variables are taken away, for they are meant for no process
        that this one starts."""
        names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        address, microseconds, pid = (environment.pop(name, "") for name in names)
        is_meant = microseconds.isdigit() and pid in ("", str(os.getpid()))
        return cls(address, int(microseconds) / 1e6 if is_meant else 0.0)

    def send(self, **fields: object) -> None:
        """Say this; one who does not listen any more is no reason to stop serving."""
        if not self._address:
            return
        text = "\n".join(f"{name}={value}" for name, value in fields.items())
        name = self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.setblocking(False)  # nor is one who listens, but does not read
            end.connect("\0" + name[1:] if name.startswith("@") else name)
            end.sendall(text.encode())

    def keep_alive(self, after: Callable[[float, Callable[[], None]], object]) -> None:
        """Give a sign of life now, and twice as often as it is wanted.

        Args:
            after: calls a function once, so many seconds later.
        """
        if self._watchdog:
            self.send(WATCHDOG=1)
            after(self._watchdog / 2, lambda: self.keep_alive(after))
