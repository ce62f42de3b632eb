"""A door: how a process asks for a connection to an owner, whether or not that lives yet.

The pair of sockets is made before any of the processes is forked, so it has no name that others
could find. Who knocks sends one end of a new connection through it; it waits there until an owner
opens.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass

from loadonce.observe.memory import format_bytes

from .arena import ARENA_BYTES, Arena

_KNOCK = b"knock"


@dataclass(frozen=True, slots=True)
class Ends:
    """One side of a connection.

    Attributes:
        socket: for messages.
        sending, receiving: for what is large.
    """

    socket: socket.socket
    sending: Arena
    receiving: Arena


@dataclass(frozen=True, slots=True)
class Knock:
    """A connection that is asked for: open it, or say on its socket why not, and close it.

    Attributes:
        socket: for messages.
        incoming, outgoing: descriptors of what is large.
    """

    socket: socket.socket
    incoming: int
    outgoing: int

    def open(self) -> Ends:
        """This side of it.

        Raises:
            OSError: this process may have no more addresses. Only `socket` is still open.
        """
        with ExitStack() as unless_opened:
            unless_opened.callback(os.close, self.incoming)
            sending = Arena(self.outgoing)
            unless_opened.pop_all()
        return Ends(self.socket, sending, Arena(self.incoming))

    def close(self) -> None:
        """Open it no more."""
        self.socket.close()
        os.close(self.incoming)
        os.close(self.outgoing)


@dataclass(frozen=True, slots=True)
class Door:
    """One side of a door; every process that was forked with it may use it."""

    end: socket.socket

    @classmethod
    def pair(cls) -> tuple[Door, Door]:
        """The outside, to knock, and the inside, to open. Neither blocks."""
        outside, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        outside.setblocking(False)
        inside.setblocking(False)
        return cls(outside), cls(inside)

    def fileno(self) -> int:
        """For selectors and event loops."""
        return self.end.fileno()

    def close(self) -> None:
        """Close this side, in this process."""
        self.end.close()

    def knock(self) -> Ends:
        """A connection that an owner will open.

        Raises:
            OSError: nobody will, or too many knocks wait.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ExitStack() as unless_sent, theirs, ExitStack() as sent:
            unless_sent.callback(ours.close)
            sending, outgoing = Arena.pair()
            sent.callback(os.close, outgoing)
            receiving, incoming = Arena.pair()
            sent.callback(os.close, incoming)
            socket.send_fds(self.end, [_KNOCK], [theirs.fileno(), outgoing, incoming])
            unless_sent.pop_all()
        return Ends(ours, sending, receiving)

    def hear(self) -> Knock | None:
        """The next connection that is asked for; None if none ever will be again.

        Raises:
            BlockingIOError: nobody knocks now.
        """
        data, descriptors, _flags, _address = socket.recv_fds(
            self.end, len(_KNOCK), 3, socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            return None
        connection, incoming, outgoing = descriptors
        end = socket.socket(fileno=connection)
        end.setblocking(False)
        return Knock(end, incoming, outgoing)


def advice_for(failure: OSError) -> str:
    """What to do where a connection cannot be had; "" where nobody knows."""
    if failure.errno != errno.ENOMEM:
        return ""
    return (
        f"each worker's connection takes {format_bytes(2 * ARENA_BYTES)} of addresses, though no "
        "memory, in both processes: raise their limit (`ulimit -v`), or leave placement= out"
    )
