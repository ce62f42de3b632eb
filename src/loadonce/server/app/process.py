"""One process that serves an app which is imported already."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from loadonce.lifecycle.registry import registries
from loadonce.observe.events import log_fields
from loadonce.server.options import ServeOptions
from loadonce.system.deadline import Deadline
from loadonce.system.signals import Stopping

from .accepting import always
from .ending import EXIT_FAILED, EXIT_STOPPED
from .listening import BACKLOG, url_of
from .logs import format_line
from .websockets import import_if_declared, websocket_protocol

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from loadonce.server.board.journal import Journal

    from .app_server import AppServer

logger = logging.getLogger("loadonce")


class AppProcess:
    """Serves one app on one socket until it is asked to stop.

    Args:
        options: how.
        on_ready: told the URL once requests are accepted.
        interrupts: how many SIGINT force the end.

    Attributes:
        stopping: to be entered around `run`, by `guarded`.
    """

    def __init__(
        self, options: ServeOptions, on_ready: Callable[[str], None], *, interrupts: int = 2
    ) -> None:
        deadline = Deadline(self._last_words)
        patience = options.drain_delay + options.grace
        self.stopping = Stopping(deadline, patience, interrupts=interrupts)
        self._options = options
        self._on_ready = on_ready
        self._server: AppServer | None = None

    def run(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        *,
        is_last: bool = True,
        share: Callable[[], bool] = always,
        journal: Journal | None = None,
        beside: Callable[[AppServer], None] | None = None,
    ) -> int:
        """Serve; returns the exit code.

        Args:
            config: what to serve, see `config_of`.
            listener: a socket that listens.
            is_last: nobody else serves on that socket afterwards.
            share, journal: as `AppServer` takes them, for one worker of several.
            beside: called on the event loop before the app starts.
        """
        from .app_server import AppServer

        url = url_of(listener, self._options.scheme)
        server = self._server = AppServer(
            config,
            self.stopping,
            drain_delay=self._options.drain_delay,
            grace=self._options.grace,
            on_ready=lambda: self._ready(url),
            share=share,
            journal=journal,
            is_last=is_last and self._options.fd is None,
        )

        async def serve() -> None:
            if beside is not None:
                beside(server)
            await server.serve(sockets=[listener])

        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            self.stopping.attach(runner.get_loop())
            try:
                runner.run(_without_waiting(serve()))
            finally:
                self.stopping.detach()
        log_fields(logging.INFO, "stopped", {"requests_lost": server.lost})
        return EXIT_FAILED if server.lost else EXIT_STOPPED

    def _ready(self, url: str) -> None:
        for registry in registries():
            if not registry.is_running:
                name = type(registry).__name__
                logger.warning("no lifespan loads %s: `loadonce check` tells more", name)
        self._on_ready(url)

    def _last_words(self, seconds: float) -> str:
        from .app_server import lost_requests

        message = f"not stopped within {seconds:g} s, ending at once"
        count = self._server.in_flight if self._server is not None else 0
        if count:
            message += f"; {lost_requests(count)}"
        return format_line(logging.CRITICAL, message, {"requests": count})


def import_what_serves(options: ServeOptions, app: ASGIApp) -> uvicorn.Config:
    """Import the server, the protocols and the event loop; returns how uvicorn serves `app`."""
    from . import app_server  # noqa: F401  # where uvicorn is imported

    with contextlib.suppress(ImportError):
        import threadpoolctl  # noqa: F401  # which the first call would import
    config = config_of(options, app)
    config.load()
    config.get_loop_factory()
    return config


def config_of(options: ServeOptions, app: ASGIApp) -> uvicorn.Config:
    """How uvicorn serves `app`."""
    import uvicorn

    import_if_declared(getattr(app, "routes", ()))
    served: Callable[..., Any] = app  # uvicorn's ASGI types are narrower than Starlette's
    return uvicorn.Config(
        served,
        ws=websocket_protocol(),
        log_config=None,
        access_log=options.access_log,
        backlog=BACKLOG,
        root_path=options.root_path,
        proxy_headers=options.proxy_headers,
        forwarded_allow_ips=options.forwarded_allow_ips,
        server_header=False,
        ssl_keyfile=options.ssl_keyfile,
        ssl_certfile=options.ssl_certfile,
        ssl_keyfile_password=options.ssl_keyfile_password,
        ssl_ca_certs=options.ssl_ca_certs,
        ssl_cert_reqs=ssl.CERT_REQUIRED if options.ssl_ca_certs else ssl.CERT_NONE,
        timeout_graceful_shutdown=None,
        workers=1,
    )


def loaded_models() -> int:
    """How many models the running registries have."""
    return sum(len(registry) for registry in registries() if registry.is_running)


async def _without_waiting(serving: Coroutine[Any, Any, None]) -> None:
    """Run it, and let the event loop close without waiting for jobs in its default executor."""
    try:
        await serving
    finally:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
