"""A door: how a process asks for a connection to an owner, whether or not that lives yet.

The pair of sockets is made before any of the processes is forked, so it has no name that others
could find. Who knocks sends one end of a new connection through it; it waits there until an owner
opens.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from .arena import Arena

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
        sending, outgoing = Arena.pair()
        receiving, incoming = Arena.pair()
        try:
            socket.send_fds(self.end, [_KNOCK], [theirs.fileno(), outgoing, incoming])
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(outgoing)
            os.close(incoming)
        return Ends(ours, sending, receiving)

    def open(self) -> Ends | None:
        """The other side of the next connection that was asked for; None if nobody ever will
        again.

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
        return Ends(end, Arena(outgoing), Arena(incoming))
