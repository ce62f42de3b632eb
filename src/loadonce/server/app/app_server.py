"""uvicorn's server, embedded: it starts, drains and stops the way loadonce promises."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from loadonce.errors import ConfigurationError
from loadonce.http.metrics import OVERVIEW
from loadonce.http.probes import RELOAD_FAILURE
from loadonce.lifecycle.registry import Registry, registries
from loadonce.lifecycle.reporting import Overview
from loadonce.observe.events import log_fields
from loadonce.server.board.journal import Journal
from loadonce.system.signals import Stopping, StopRequestedError

from .accepting import Acceptor, Connections, always
from .departing import departing
from .gate import Gate
from .idle import why_idle
from .joining import joining
from .lifespan import Lifespan
from .parting import CLOSE, say_goodbye

_GLANCE = 0.02  # seconds between two looks at what is left; uvicorn announces no ends
_LAST_ANSWERS = 0.3  # seconds for the 503 answers of what was cut off


class AppServer(uvicorn.Server):
    """Serves one app until it is asked to stop.

    Args:
        config: with the app.
        stopping: tells when to stop, and how urgently.
        drain_delay: seconds for which requests are still accepted after that.
        grace: seconds for which accepted requests may then finish.
        on_ready: called once requests are accepted.
        share: asked before each new connection, where several processes accept them.
        journal: where this process reports itself; its row counts open connections.
        is_last: nobody else serves on the socket after this process.

    Attributes:
        lost: how many requests were cut off.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        stopping: Stopping,
        *,
        drain_delay: float,
        grace: float,
        on_ready: Callable[[], None],
        share: Callable[[], bool] = always,
        journal: Journal | None = None,
        is_last: bool = True,
    ) -> None:
        super().__init__(config)
        self.lost = 0
        self._stopping = stopping
        self._drain_delay = drain_delay
        self._grace = grace
        self._on_ready = on_ready
        self._share = share
        self._journal = journal or Journal.alone()
        self._is_last = is_last
        self._acceptor: Acceptor | None = None
        if not config.loaded:  # before a fork, perhaps
            config.load()
        self._protocol = departing(joining(config.http_protocol_class))
        self.server_state.connections = Connections(self._journal.row, self._protocol)
        loaded: Any = config.loaded_app  # uvicorn's ASGI types are narrower than Starlette's
        self._gate = Gate(loaded)
        config.loaded_app = self._gate
        self.lifespan: Any = Lifespan(self._gate, is_required=bool(registries()))
        self.lifespan.state[OVERVIEW] = self._overview
        self.lifespan.state[RELOAD_FAILURE] = self._journal.reload_failure

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, serve, drain, stop; signals are left to `Stopping`.

        Raises:
            StopRequestedError: asked to stop before it served.
            Exception: what the app's lifespan raised at its start or end.
        """
        await self._start(sockets)
        self._stopping.is_serving = True
        ticking = asyncio.create_task(self._tick())
        self._on_ready()
        try:
            await self._stopping.requested.wait()
            await self.shutdown(sockets)
        finally:
            ticking.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the app's start, then take connections."""
        await self.lifespan.startup()
        if reason := why_idle(self.config.app):
            await self.lifespan.shutdown()
            raise ConfigurationError(reason)
        assert sockets is not None
        self._acceptor = Acceptor(
            sockets[0],
            lambda: self._protocol(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            ),
            self.config.ssl,
            self._share,
            self._journal.row,
        )
        self._acceptor.start()
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Announce, keep accepting for a while, stop accepting, finish, close.

        A worker that others replace announces nothing: it takes no more connections, and the ones
        it has end after their next answer, or by themselves.
        """
        assert self._acceptor is not None
        self._say_close()
        fields = {"signal": self._stopping.signal_name, "requests": self.in_flight}
        if self._stopping.is_replaced:
            log_fields(logging.DEBUG, "leaving", fields)
            self._acceptor.stop()
            say_goodbye(self.server_state.connections, only_websockets=True)
        else:
            for registry in registries():
                registry.start_draining()
            log_fields(logging.INFO, "draining", fields)
            await _wait(self._stopping.forced, self._drain_delay)
            await self._acceptor.finish(is_last=self._is_last)
            say_goodbye(self.server_state.connections)
        await self._finish(self._grace)
        await self._cut_off()
        await self.lifespan.shutdown()
        self._report()

    def _say_close(self) -> None:
        """From now on every response tells its client to close the connection, also one to a
        request that came before."""
        self.config.encoded_headers.append(CLOSE)
        self.server_state.default_headers.append(CLOSE)

    @property
    def in_flight(self) -> int:
        """How many requests are being answered."""
        return len(self.server_state.tasks)

    # -- steps ---------------------------------------------------------------------------------

    async def _start(self, sockets: list[socket.socket] | None) -> None:
        starting = asyncio.create_task(self.startup(sockets))
        stop = asyncio.create_task(self._stopping.requested.wait())
        await asyncio.wait([starting, stop], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            # One or the other: a start that is cancelled twice would not close what it opened.
            cancelled = [registry.cancel_start() for registry in registries()]
            if not any(cancelled):
                self.lifespan.cancel()
            await asyncio.wait([starting])
        stop.cancel()
        try:
            await starting
        except asyncio.CancelledError:
            raise StopRequestedError from None

    async def _tick(self) -> None:
        while True:
            await self.on_tick(0)  # the Date header
            self._report()
            await asyncio.sleep(1.0)

    def _report(self) -> None:
        self._journal.publish(self.server_state.total_requests)

    def _overview(self) -> Overview:
        self._report()  # so that at least this process is up to date
        return self._journal.overview()

    async def _finish(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._is_busy and not self._stopping.forced.is_set():  # noqa: ASYNC110  # see _GLANCE
                    await asyncio.sleep(_GLANCE)

    @property
    def _is_busy(self) -> bool:
        return bool(self.server_state.tasks or self.server_state.connections)

    async def _cut_off(self) -> None:
        self.lost = self.in_flight
        if not self.lost:
            return
        log_fields(logging.ERROR, lost_requests(self.lost), {"requests": self.lost})
        self._gate.is_closing = True
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_LAST_ANSWERS)


def lost_requests(count: int, known: tuple[Registry, ...] | None = None) -> str:
    """How many requests are lost, and which models still had calls running or waiting."""
    statuses = [model.status() for registry in known or registries() for model in registry]
    busy = [
        f"model '{status.name}': {status.statistics.in_flight} running"
        for status in statuses
        if status.statistics.in_flight
    ]
    lost = f"{count} request{'s' if count != 1 else ''} lost: not finished in time"
    return f"{lost} ({'; '.join(busy)})" if busy else lost


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
