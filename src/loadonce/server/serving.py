"""One process that serves one app: from its options to its exit code."""

from __future__ import annotations

import asyncio
import atexit
import faulthandler
import logging
import os
import socket
import ssl
import sys
import time
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NoReturn

from loadonce.errors import ConfigurationError, LoadOnceError
from loadonce.lifecycle.registry import registries
from loadonce.observe.events import log_fields

from .deadline import Deadline
from .importing import import_app, place_of
from .listening import BACKLOG, listening, url_of
from .logs import StartLines, configure_logging, format_line
from .options import ServeOptions
from .signals import Stopping, StopRequestedError

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from .app_server import AppServer

EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_START_FAILED = 3  # as uvicorn has it

# Beside a model written in Python, /livez took half as long as with Python's 5 ms (median 8 -> 4,
# lag of the event loop 6 -> 2 ms), at the same throughput; beside scikit-learn it changes nothing.
_SWITCH_INTERVAL = 0.001

_LAST_FUNCTIONS = 5.0  # seconds for what is registered with atexit

logger = logging.getLogger("loadonce")


def serve(
    options: ServeOptions, listener: socket.socket | None = None, *, began: float | None = None
) -> int:
    """Serve an app until SIGTERM or SIGINT; must run in the main thread.

    What can fail cheaply comes first: the address, certificates, the import; only then are models
    loaded. Failures are told on standard error, in one message.

    Args:
        options: what to serve, and where.
        listener: a socket that listens already, instead of the address in `options`.
        began: when the program began, by `time.monotonic()`, to tell how long the start took; now
            by default.

    Returns:
        The exit code: 0 after a clean stop; 1 if the app could not be found or imported, the
        address not be used, or requests were lost at the end; 3 if a model failed to load.
    """
    began = time.monotonic() if began is None else began
    lines = configure_logging(
        options.log_level,
        access_log=options.access_log,
        package=options.target.partition(":")[0].partition(".")[0],
        shows_errors=options.shows_errors,
    )
    if not faulthandler.is_enabled():
        faulthandler.enable(2)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    process = _Process(options, lines, began)
    try:
        with process.deadline, process.stopping:
            return process.run(listener)
    except StopRequestedError:
        fields: dict[str, object] = {"signal": process.stopping.signal_name}
        log_fields(logging.INFO, "stopped before it served", fields)
        return EXIT_STOPPED
    except Exception as error:
        _tell(error, options)
        return EXIT_FAILED if isinstance(error, ConfigurationError) else EXIT_START_FAILED


def end_process(code: int) -> NoReturn:
    """End this process now, after what is registered to run at its end, which gets 5 seconds.

    Threads that hang in a model, and native libraries that hang in their destructors, cannot keep
    it from ending.
    """
    # A daemon, for signals are ignored by now: only this ends a function that hangs.
    deadline = Deadline(_exit_hangs, lambda _code: os._exit(code))
    deadline.__enter__()
    deadline.arm(_LAST_FUNCTIONS)
    with ExitStack() as last:  # each of these runs, the last one first, whatever the others raise
        last.callback(os._exit, code)
        last.callback(sys.stderr.flush)
        last.callback(sys.stdout.flush)
        last.callback(atexit._run_exitfuncs)
    raise AssertionError("unreachable")


def _exit_hangs(seconds: float) -> str:
    return f"what was registered with atexit has not ended within {seconds:g} s, ending at once"


class _Process:
    def __init__(self, options: ServeOptions, lines: StartLines, began: float) -> None:
        self.deadline = Deadline(self._last_words)
        self.stopping = Stopping(self.deadline, options.drain_delay + options.grace)
        self._options = options
        self._lines = lines
        self._began = began
        self._server: AppServer | None = None

    def run(self, listener: socket.socket | None) -> int:
        """Open, import, load, serve, close."""
        options = self._options
        with ExitStack() as stack:
            if listener is None:
                listener = stack.enter_context(listening(options))
            _check_certificates(options)
            app = import_app(options.target, app_dir=options.app_dir, is_factory=options.is_factory)
            return self._serve(app, listener)

    def _serve(self, app: ASGIApp, listener: socket.socket) -> int:
        from .app_server import AppServer

        config = _config(self._options, app)
        url = url_of(listener, self._options.scheme)
        self._server = AppServer(
            config,
            self.stopping,
            drain_delay=self._options.drain_delay,
            grace=self._options.grace,
            on_ready=lambda: self._ready(url),
        )
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            self.stopping.attach(runner.get_loop())
            try:
                runner.run(_without_waiting(self._server.serve(sockets=[listener])))
            finally:
                self.stopping.detach()
        log_fields(logging.INFO, "stopped", {"requests_lost": self._server.lost})
        return EXIT_FAILED if self._server.lost else EXIT_STOPPED

    def _ready(self, url: str) -> None:
        self._lines.started()
        for registry in registries():
            if not registry.is_running:
                name = type(registry).__name__
                logger.warning("no lifespan loads %s: `loadonce check` tells more", name)
        models = sum(len(registry) for registry in registries() if registry.is_running)
        seconds = round(time.monotonic() - self._began, 2)
        line = f"ready on {url} in {seconds:g} s, {models} model{'s' if models != 1 else ''}"
        fields = {"url": url, "models": models, "seconds": seconds}
        logger.info("%s", line, extra={"loadonce": fields})

    def _last_words(self, seconds: float) -> str:
        from .app_server import lost_requests

        message = f"not stopped within {seconds:g} s, ending at once"
        count = self._server.in_flight if self._server is not None else 0
        if count:
            message += f"; {lost_requests(count)}"
        return format_line(logging.CRITICAL, message, {"requests": count})


async def _without_waiting(serving: Coroutine[Any, Any, None]) -> None:
    """Run it, and let the event loop close without waiting for jobs in its default executor."""
    try:
        await serving
    finally:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))


def _config(options: ServeOptions, app: ASGIApp) -> uvicorn.Config:
    import uvicorn

    served: Callable[..., Any] = app  # uvicorn's ASGI types are narrower than Starlette's
    return uvicorn.Config(
        served,
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


def _check_certificates(options: ServeOptions) -> None:
    if options.ssl_certfile is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(
            options.ssl_certfile, options.ssl_keyfile, options.ssl_keyfile_password or ""
        )
        if options.ssl_ca_certs is not None:
            context.load_verify_locations(options.ssl_ca_certs)
    except OSError as error:  # ssl.SSLError is one
        names = [options.ssl_certfile, options.ssl_keyfile, options.ssl_ca_certs]
        files = ", ".join(str(name) for name in names if name)
        raise ConfigurationError(f"TLS with {files}: {error.strerror or error}") from error


def _tell(error: Exception, options: ServeOptions) -> None:
    """Say on standard error why the start failed: for people, so never as JSON."""
    known = _startup_error(error)
    if known is not None:
        text = str(known)
    else:
        place = place_of(error)
        text = f"the app's start failed: {type(error).__name__}: {error}"
        text += f" ({place})" if place else ""
    if _shows_traceback(error, options):
        text = "".join(traceback.format_exception(error)) + text
    sys.stderr.write(f"{text}\n")


def _shows_traceback(error: Exception, options: ServeOptions) -> bool:
    """At "debug" always; else, where errors are shown, if code of somebody else's raised it."""
    is_foreign = not isinstance(error, LoadOnceError) or error.__cause__ is not None
    return options.log_level == "debug" or (options.shows_errors and is_foreign)


def _startup_error(error: BaseException) -> LoadOnceError | None:
    """The error of ours in `error`, which a task group may have wrapped."""
    if isinstance(error, LoadOnceError):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = [_startup_error(each) for each in error.exceptions]
        return next((each for each in found if each is not None), None)
    return None
