"""`loadonce dev`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .parameters import AppDir, Factory, Host, Level, Port, Target


def dev(
    target: Target,
    factory: Factory = False,
    app_dir: AppDir = Path("."),
    host: Host = "127.0.0.1",
    port: Port = 8000,
    reload_dir: Annotated[
        list[Path] | None,
        typer.Option(
            "--reload-dir", help="Watch this instead of --app-dir; may be repeated.", exists=True
        ),
    ] = None,
    log_level: Level = "info",
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="Log each request.")
    ] = True,
) -> None:
    """Serve an app while you write it: restarts when code changes, locks new artifacts.

    On Linux it restarts for a changed models.lock, too, and models whose bytes and loaders have not
    changed stay loaded.

    An artifact that is not in the lock file is locked on first use, with one printed line. That is
    trust without a look, so only this machine can reach the server; any other --host is refused.
    Errors show their texts and tracebacks, which `loadonce serve` does at --log-level debug only.

    Example:

      loadonce dev main:app
    """
    from loadonce.server import ServeOptions, develop

    options = ServeOptions(
        target=target,
        is_factory=factory,
        app_dir=app_dir,
        host=host,
        port=port,
        log_level=log_level,
        shows_errors=True,
        access_log=access_log,
        drain_delay=0.0,
        grace=1.0,
    )
    develop(options, reload_dir or ())
