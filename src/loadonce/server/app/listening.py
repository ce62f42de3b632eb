"""Listening sockets: opened before anything is imported or loaded, so that a bad address costs
nothing, and already accepting connections, which wait until the app can answer them."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadonce.errors import ConfigurationError
from loadonce.server.options import ServeOptions
from loadonce.system.sockets import remove_stale

BACKLOG = 2048


@contextmanager
def listening(options: ServeOptions) -> Iterator[socket.socket]:
    """The socket to serve on, listening; a Unix socket's file is removed at the end.

    Raises:
        ConfigurationError: the address is in use, not allowed, or none of this machine's.
    """
    if options.fd is not None:
        listener = _inherited(options.fd)
    elif options.uds is not None:
        listener = _unix(options.uds, options.uds_mode)
    else:
        listener = _tcp(options.host, options.port)
    with listener:  # as long as it is open, no other file can have its place on the disk
        place = _place_of(options.uds)
        try:
            yield listener
        finally:
            if options.uds is not None and _place_of(options.uds) == place:
                options.uds.unlink(missing_ok=True)


def url_of(listener: socket.socket, scheme: str) -> str:
    """What to type into a browser, or where a Unix socket lies."""
    address = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"{scheme}+unix:{address}"
    host, port = address[0], address[1]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _tcp(host: str, port: int) -> socket.socket:
    try:
        known = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ConfigurationError(f"--host {host}: {error.strerror}") from error
    family, kind, protocol, _name, address = known[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # At once: two processes may bind one port, but only one may listen on it.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror} ({_advice(error)})"
        ) from error
    listener.setblocking(False)
    return listener


def _advice(error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return "--host takes an address of this machine, or 0.0.0.0 for all of them"
    return "choose another --port, or 0 for any that is free"


def _unix(path: Path, mode: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        remove_stale(path, socket.SOCK_STREAM)
        before = os.umask(0o777 & ~mode)  # never open to more, not even for a moment
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"--uds {path}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener


def _place_of(path: Path | None) -> tuple[int, int] | None:
    """Which file that is; None for no path or no file. Workers remove it as they stop to accept,
    and then another server may have put its own there."""
    if path is None:
        return None
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _inherited(fd: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=fd)
        is_listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigurationError(f"--fd {fd}: {error.strerror}: not a socket") from error
    if not is_listening:
        listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
