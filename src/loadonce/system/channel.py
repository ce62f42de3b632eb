"""A channel between two processes of ours: JSON messages, and file descriptors beside them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from typing import Any, Self

from .linux import is_linux

Message = dict[str, Any]

_LARGEST = 65536  # bytes of one message
_MOST_DESCRIPTORS = 4
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # not on macOS


class Channel:
    """One end of a pair of sockets, made before the process at the other end was started.

    The kernel keeps the messages apart. Nothing is ever unpickled. Elsewhere than on Linux an end
    that is gone may go unnoticed by who only receives.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Two ends; both block until told otherwise."""
        kind = socket.SOCK_SEQPACKET if is_linux() else socket.SOCK_DGRAM
        one, other = socket.socketpair(socket.AF_UNIX, kind)
        if not is_linux():  # macOS takes 2 KiB by default
            for end in (one, other):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * _LARGEST)
        return cls(one), cls(other)

    def fileno(self) -> int:
        """For selectors and event loops."""
        return self._end.fileno()

    @property
    def is_open(self) -> bool:
        """Whether this end has not been closed."""
        return self._end.fileno() >= 0

    def set_blocking(self, is_blocking: bool) -> None:
        """Whether `receive` waits; it raises BlockingIOError otherwise."""
        self._end.setblocking(is_blocking)

    def send(self, message: Message, *descriptors: int) -> bool:
        """Send one message; False if nobody is there any more, or does not read, or this end is
        closed."""
        if not self.is_open:
            return False
        data = json.dumps(message).encode()
        try:
            if descriptors:
                socket.send_fds(self._end, [data], descriptors)
            else:
                self._end.send(data)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                raise
            return False
        return True

    def receive(self) -> tuple[Message, list[int]] | None:
        """The next message and its descriptors; None if the other end is closed, or sends what is
        no message.

        Raises:
            BlockingIOError: nothing has come, and the channel does not wait.
        """
        try:
            data, descriptors, _flags, _ = socket.recv_fds(
                self._end, _LARGEST, _MOST_DESCRIPTORS, _CLOSE_ON_EXEC
            )
        except ConnectionResetError:
            return None
        if not data:
            return None
        try:
            message = json.loads(data)
        except ValueError:  # nothing of ours speaks like that
            message = None
        if not isinstance(message, dict):
            close_descriptors(descriptors)
            return None
        return message, descriptors

    def close(self) -> None:
        """Close this end."""
        self._end.close()


def close_descriptors(descriptors: list[int]) -> None:
    """Close each; one that is closed already does not matter."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
