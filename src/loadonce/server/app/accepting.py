"""Accepting connections: one worker of several takes one only if no other has fewer."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import select
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from loadonce.observe.events import log_fields
from loadonce.server.board.board import Board, Row
from loadonce.system.linux import refuse_new_connections

_AT_ONCE = 16  # connections accepted before the event loop has its next turn
_WAIT = 0.001  # seconds in which a worker with fewer connections may be faster
_PATIENCE = (
    20  # such waits, before a connection is taken by whoever sees it; with 5, 2 of 20 starts
)
# of 4 workers on 2 busy cores spread 64 connections as unevenly as 7, 19, 19, 19
_EXHAUSTED_WAIT = 1.0  # seconds without descriptors or memory for another connection
_STALE = 2.0  # seconds without a beat after which a worker is not waited for
_UNEVEN = 1.5  # times as many connections and more: some clients are asked to connect anew
_QUIET = 0.05  # seconds in which a handshake under way ends
_LOOKS = 100  # for what waits, before it is given up

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def always() -> bool:
    """The rule of a process that serves alone."""
    return True


class Share:
    """The rule of one worker among others: the one with the fewest connections takes the next.

    Left to the kernel, whoever wakes first takes all that wait: of 64 connections two workers got
    between 23 and 41, and sometimes 3 and 61.
    """

    def __init__(self, board: Board, row: Row) -> None:
        self._board = board
        self._row = row

    def __call__(self) -> bool:
        """Whether this worker may take one more now."""
        mine = self._row.connections
        return all(mine <= each.connections for each in self._board if self._counts(each))

    @property
    def surplus(self) -> int:
        """How many of this worker's connections others should have. None unless it has half as
        many again as another: a worker that takes a dead one's place finds its clients gone to the
        others, which they would not leave by themselves."""
        mine = self._row.connections
        counts = [each.connections for each in self._board if self._counts(each)]
        if not counts or mine <= _UNEVEN * (min(counts) + 1):
            return 0
        return mine - math.ceil(sum(counts) / len(counts))

    def _counts(self, row: Row) -> bool:
        return row.accepts and row.silence < _STALE


class Connections(set[Any]):
    """uvicorn's set of open connections, counted in a row of the board.

    An upgrade takes the HTTP protocol out and puts one for WebSockets in: the same connection.

    Args:
        row: where they are counted.
        protocol: of connections that were counted when they were accepted.
    """

    def __init__(self, row: Row, protocol: type[Any]) -> None:
        super().__init__()
        self._row = row
        self._protocol = protocol

    def add(self, connection: Any) -> None:
        """uvicorn tells that this one is open."""
        if not isinstance(connection, self._protocol):
            self._row.connections += 1
        super().add(connection)

    def remove(self, connection: Any) -> None:
        """uvicorn tells that this one, for WebSockets, is closed."""
        super().remove(connection)
        self._row.connections -= 1

    def discard(self, connection: Any) -> None:
        """uvicorn tells that this one is closed, or something else now."""
        if connection in self:
            self.remove(connection)


class Acceptor:
    """Takes connections from a listening socket and gives each a protocol.

    Args:
        listener: non-blocking; shared with other processes, perhaps.
        protocol: makes the protocol of one connection.
        tls: for TLS.
        may_accept: asked before each connection.
        row: where connections are counted.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        tls: ssl.SSLContext | None,
        may_accept: Callable[[], bool],
        row: Row,
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._tls = tls
        self._may_accept = may_accept
        self._row = row
        self._loop = asyncio.get_running_loop()
        self._resuming: asyncio.TimerHandle | None = None
        self._patience = _PATIENCE
        self._connecting: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Take connections from now on."""
        self._row.accepts = True
        self._resume()

    def stop(self) -> None:
        """Take no more; what waits is left to others who share the socket."""
        self._row.accepts = False
        if self._resuming is not None:
            self._resuming.cancel()
        self._loop.remove_reader(self._listener)

    async def finish(self, *, is_last: bool) -> None:
        """Take what waits already, refuse what comes later, and stop.

        Args:
            is_last: nobody will serve on this socket afterwards. Otherwise new clients are not
                refused, they wait for whoever serves next.
        """
        self._may_accept = always
        if is_last and refuse_new_connections(self._listener):
            for _ in range(_LOOKS):
                await asyncio.sleep(_QUIET)
                if not select.select([self._listener], [], [], 0)[0]:
                    break
        self.stop()
        if self._connecting:
            await asyncio.wait(self._connecting, timeout=_EXHAUSTED_WAIT)

    # -- steps ---------------------------------------------------------------------------------

    def _resume(self) -> None:
        self._resuming = None
        self._loop.add_reader(self._listener, self._accept)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._resuming = self._loop.call_later(seconds, self._resume)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            if not self._may_accept() and self._patience:
                self._patience -= 1
                self._pause(_WAIT)
                return
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                self._patience = _PATIENCE
                return
            except OSError as error:
                self._wait_out(error)
                return
            self._patience = _PATIENCE
            connection.setblocking(False)
            self._row.connections += 1
            self._spawn(self._connect(connection))

    def _wait_out(self, error: OSError) -> None:
        if error.errno not in _EXHAUSTED:
            raise error
        fields: dict[str, object] = {"reason": error.strerror, "seconds": _EXHAUSTED_WAIT}
        log_fields(logging.ERROR, "cannot accept connections", fields)
        self._pause(_EXHAUSTED_WAIT)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection, ssl=self._tls)
        except (OSError, asyncio.CancelledError):  # a TLS handshake that failed; the client's fault
            self._row.connections -= 1
            connection.close()

    def _spawn(self, connecting: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(connecting)
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
