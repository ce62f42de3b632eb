"""Unix sockets, as far as their files are concerned."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path


def remove_stale(path: Path, kind: socket.SocketKind) -> None:
    """Remove the socket that a process left which was killed; not one that somebody listens on.

    Args:
        path: of the socket; there may be nothing.
        kind: of the socket.

    Raises:
        FileExistsError: what is there is no socket.
        OSError: it cannot be looked at, or removed.
    """
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise FileExistsError(errno.EEXIST, "there is a file of that name, and it is no socket")
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.setblocking(False)
        try:
            with suppress(BlockingIOError):  # whoever listens has many clients
                probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
