"""What Linux offers beyond the standard library: who adopts orphans, and a door for new clients."""

from __future__ import annotations

import ctypes
import socket
import struct
from pathlib import Path

from loadonce.owner.parents import is_linux, prctl

_PR_SET_CHILD_SUBREAPER = 36
_SO_ATTACH_FILTER = 26

# A classic BPF program for a TCP socket: load the header's byte of flags, keep SYN and ACK, refuse
# what asks for a new connection (SYN alone), let everything else pass.
_NO_NEW_CONNECTIONS = (
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)


def adopt_orphans() -> None:
    """From now on this process is the parent of what its descendants leave behind."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def refuse_new_connections(listener: socket.socket) -> bool:
    """Let a listening socket ignore new clients, for good, in every process that shares it.

    TCP clients try again by themselves, a second later; those that are connected already, accepted
    or not, are served. Closing the socket instead would reset the ones not accepted yet.

    Returns:
        False where the system cannot do that; nothing has changed then.
    """
    if listener.family == socket.AF_UNIX:
        Path(listener.getsockname()).unlink(missing_ok=True)  # nobody finds it any more
        return True
    if not is_linux():
        return False
    program = b"".join(struct.pack("HBBI", *line) for line in _NO_NEW_CONNECTIONS)
    kept = ctypes.create_string_buffer(program)
    argument = struct.pack("HP", len(_NO_NEW_CONNECTIONS), ctypes.addressof(kept))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, argument)
    except OSError:
        return False
    return True
