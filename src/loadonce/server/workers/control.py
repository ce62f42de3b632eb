"""The control socket: by which a server takes orders from its own user, or root."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loadonce.observe.events import log_fields
from loadonce.system.channel import Channel, Message
from loadonce.system.linux import is_linux
from loadonce.system.sockets import remove_stale
from loadonce.system.watching import Watch

Answer = Callable[[Message, Callable[[Message], object]], object]

_MOST_CLIENTS = 16
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


class Control:
    """Listens, in a directory that nobody else may enter, and hands on what is asked.

    A server that has no place for it serves all the same, and says so.

    Args:
        watch: of the supervisor.
        answer: called with each message, and with what tells its sender.
        directory: where; see `runtime_directory`.

    Attributes:
        path: of the socket.
    """

    def __init__(self, watch: Watch, answer: Answer, directory: Path | None = None) -> None:
        self.path = (directory or runtime_directory()) / f"{os.getpid()}.sock"
        self._watch = watch
        self._answer = answer
        self._listener: socket.socket | None = None
        self._clients: list[Channel] = []

    @contextmanager
    def open(self) -> Iterator[None]:
        """Listen while the block runs; on Linux, whose kernel tells who a client is."""
        if not is_linux():
            yield
            return
        try:
            self._listener = _listener(self.path)
            _remove_orphans(self.path.parent)
        except OSError as error:
            fields: dict[str, object] = {"path": str(self.path), "reason": str(error)}
            log_fields(logging.WARNING, "no control socket, SIGHUP still reloads", fields)
            yield
            return
        self._watch.look(self._listener, self._accept)
        try:
            yield
        finally:
            self.close()
            with contextlib.suppress(OSError):
                self.path.unlink()

    def close(self) -> None:
        """Close all descriptors; the path stays."""
        for channel in self._clients:
            channel.close()
        if self._listener is not None:
            self._listener.close()

    # -- steps ---------------------------------------------------------------------------------

    def _accept(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):
            connection, _address = self._listener.accept()
            if may_order(user_of(connection)):
                self._serve(Channel(connection))
            else:
                connection.close()

    def _serve(self, channel: Channel) -> None:
        self._clients.append(channel)
        if len(self._clients) == _MOST_CLIENTS:  # further ones wait until one of these has left
            assert self._listener is not None
            self._watch.look_away(self._listener)

        def hear(message: Message) -> None:
            self._answer(message, channel.send)

        self._watch.listen(channel, hear, lambda: self._leave(channel))

    def _leave(self, channel: Channel) -> None:
        if len(self._clients) == _MOST_CLIENTS:
            assert self._listener is not None
            self._watch.look(self._listener, self._accept)
        self._clients.remove(channel)
        channel.close()


def runtime_directory() -> Path:
    """Where control sockets lie: below what systemd gives a service or a session, or a directory of
    this user's below that for temporary files."""
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        given = os.environ.get(name, "").partition(":")[0]
        if given and os.access(given, os.W_OK):
            return Path(given, "loadonce")
    return Path(tempfile.gettempdir(), f"loadonce-{os.getuid()}")


def may_order(user: int) -> bool:
    """Whether this user may order the processes of ours about; root may."""
    return user in (os.getuid(), 0)


def user_of(connection: socket.socket) -> int:
    """Who is at the other end of a Unix socket, by the kernel's word."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, user, _group = _CREDENTIALS.unpack(found)
    return int(user)


def _listener(path: Path) -> socket.socket:
    _private(path.parent)
    remove_stale(path, socket.SOCK_SEQPACKET)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(os.fspath(path))
        listener.listen(_MOST_CLIENTS)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _private(directory: Path) -> None:
    """Make sure that only this user can enter it.

    Raises:
        OSError: somebody else has made it, or can.
    """
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_ours or found.st_mode & 0o077:
        raise PermissionError(f"{directory} is not a directory of this user's alone (mode 700)")


def _remove_orphans(directory: Path) -> None:
    """Remove what servers that were killed have left."""
    for path in directory.glob("*.sock"):
        if path.stem.isdigit() and not Path("/proc", path.stem).exists():
            with contextlib.suppress(OSError):
                remove_stale(path, socket.SOCK_SEQPACKET)
