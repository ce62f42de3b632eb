"""One process that serves one app: from its options to its exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

from loadonce.observe.collection import paused
from loadonce.system.signals import STOP_SIGNALS
from loadonce.system.systemd import Notifier

from .app.certificates import check_certificates
from .app.configuring import configure_process
from .app.ending import EXIT_CANNOT_FORK, guarded, tell_failure
from .app.importing import import_app
from .app.listening import listening, url_of
from .app.logs import StartLines
from .app.process import AppProcess, config_of, loaded_models
from .board.journal import Journal
from .board.server_info import ServerInfo
from .board.telling import tell_ready
from .options import ServeOptions


def serve(
    options: ServeOptions,
    listener: socket.socket | None = None,
    *,
    began: float | None = None,
    on_import: Callable[[], None] | None = None,
) -> int:
    """Serve an app until SIGTERM or SIGINT; must run in the main thread.

    What can fail cheaply comes first: the address, certificates, the import; only then are models
    loaded. Failures are told on standard error, in one message.

    Args:
        options: what to serve, and where.
        listener: a socket that listens already, instead of the address in `options`.
        began: when the program began, by `time.monotonic()`, to tell how long the start took; now
            by default.
        on_import: called once the app is imported, before it starts, where one process serves.

    Returns:
        The exit code: 0 after a clean stop; 1 if the app could not be found or imported, the
        address not be used, or requests were lost at the end; 3 if a model failed to load.
    """
    began = time.monotonic() if began is None else began
    lines = configure_process(options)
    notifier = Notifier.taken(os.environ)
    if listener is None and options.has_supervisor:
        return _supervise(options, lines, began, notifier)
    return _serve_alone(options, lines, began, notifier, listener, on_import)


def _supervise(options: ServeOptions, lines: StartLines, began: float, notifier: Notifier) -> int:
    with paused():
        from .workers.supervisor import Supervisor

    try:
        with listening(options) as listener:
            check_certificates(options)
            code = Supervisor(options, lines, listener, began, notifier).run()
            if code != EXIT_CANNOT_FORK:
                return code
            for number in STOP_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            gc.collect()  # the supervisor, whose board others would take for this server's
            return _serve_alone(options, lines, began, notifier, listener, is_last=True)
    except Exception as error:
        return tell_failure(error, options)


def _serve_alone(
    options: ServeOptions,
    lines: StartLines,
    began: float,
    notifier: Notifier,
    listener: socket.socket | None = None,
    on_import: Callable[[], None] | None = None,
    *,
    is_last: bool = False,
) -> int:
    with ExitStack() as starting:
        starting.enter_context(paused())

        def ready(url: str) -> None:
            starting.close()
            lines.started()
            tell_ready(url, began, loaded_models())
            notifier.send(READY=1, STATUS=f"serving {url}")
            notifier.keep_alive(asyncio.get_running_loop().call_later)

        process = AppProcess(options, ready)

        def run() -> int:
            return _open_and_run(options, process, listener, on_import, is_last=is_last)

        return guarded(options, process.stopping, run)


def _open_and_run(
    options: ServeOptions,
    process: AppProcess,
    listener: socket.socket | None,
    on_import: Callable[[], None] | None,
    *,
    is_last: bool,
) -> int:
    with ExitStack() as stack:
        if listener is None:
            is_last = True
            listener = stack.enter_context(listening(options))
        check_certificates(options)
        app = import_app(options.target, app_dir=options.app_dir, is_factory=options.is_factory)
        if on_import is not None:
            on_import()
        journal = Journal.alone(ServerInfo.of(options, url_of(listener, options.scheme)))
        config = config_of(options, app)
        return process.run(config, listener, is_last=is_last, journal=journal)
