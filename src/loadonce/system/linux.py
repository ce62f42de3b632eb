"""What Linux offers beyond the standard library: who dies with whom, who adopts orphans, and a door
for new clients."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import time
from array import array
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

_PR_SET_PDEATHSIG = 1
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


def is_linux() -> bool:
    """Whether this system has what the processes of loadonce need."""
    return sys.platform == "linux"


def die_with(parent: int) -> None:
    """Be killed when `parent` ends, on Linux; end at once if it has ended already."""
    if is_linux():
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def outlive(between: int) -> None:
    """Wait for the end of `between`, the parent of this process that is about to end.

    Whose child it is then is for the caller to see: who was to adopt it may have ended too.
    """
    while os.getppid() == between:
        time.sleep(0.0005)


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
    program = array("B", b"".join(struct.pack("HBBI", *line) for line in _NO_NEW_CONNECTIONS))
    address, _length = program.buffer_info()
    argument = struct.pack("HP", len(_NO_NEW_CONNECTIONS), address)
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, argument)
    except OSError:
        return False
    return True


def prctl(option: int, value: int) -> None:
    """Linux's prctl(2).

    Raises:
        OSError: it failed.
    """
    import ctypes  # milliseconds that most apps need not wait

    if _libc().prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@cache
def _libc() -> ctypes.CDLL:
    """Made once, before the fork: each time takes a class of its own."""
    import ctypes

    return ctypes.CDLL(None, use_errno=True)
