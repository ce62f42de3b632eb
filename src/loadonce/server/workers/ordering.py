"""Ordering a running server: the client of its control socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadonce.errors import ConfigurationError
from loadonce.system.channel import Channel, Message

from .control import may_order, user_of

_GONE: Message = {"what": "failed", "reason": "the server ended before it was done"}


@contextmanager
def ordered(path: Path, what: str) -> Iterator[Iterator[Message]]:
    """Ask the server whose control socket this is to do something; gives its answers, the last one
    "ended" or "failed".

    Raises:
        ConfigurationError: no server of this user answers there.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = Channel(connection)
    try:
        try:
            connection.connect(os.fspath(path))
        except OSError as error:
            raise ConfigurationError(f"no server answers on {path}: {error.strerror}") from error
        if not may_order(user_of(connection)):
            raise ConfigurationError(f"the server on {path} is another user's")
        channel.send({"what": what})
        yield _answers(channel)
    finally:
        channel.close()


def _answers(channel: Channel) -> Iterator[Message]:
    what = ""
    while what not in ("ended", "failed"):
        received = channel.receive()
        message = received[0] if received is not None else _GONE
        what = message["what"]
        yield message
