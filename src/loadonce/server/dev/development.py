"""The development server: a child that serves, restarted whenever code changes."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from loadonce.errors import ConfigurationError
from loadonce.server.app.ending import end_process
from loadonce.server.app.listening import listening
from loadonce.server.app.logs import configure_logging
from loadonce.server.options import ServeOptions
from loadonce.server.serving import serve
from loadonce.system.linux import is_linux


def develop(options: ServeOptions, reload_dirs: Sequence[Path] = ()) -> None:
    """Serve on the loopback, trusting artifacts on first use, until SIGTERM or SIGINT.

    The port stays open across restarts: requests wait for the new code. On Linux, models whose
    bytes and loaders have not changed stay loaded.

    Args:
        options: what to serve; `host` must be a loopback address.
        reload_dirs: watched for changes; `app_dir` by default.

    Raises:
        ConfigurationError: others could reach the server, or the address cannot be used.
    """
    _require_loopback(options.host)
    configure_logging(options.log_level, access_log=options.access_log)
    import uvicorn
    from uvicorn.supervisors import ChangeReload

    with listening(options) as listener:
        directories = [str(path) for path in reload_dirs or [options.app_dir]]
        config = uvicorn.Config(
            options.target, reload=True, reload_dirs=directories, log_config=None
        )
        if is_linux():
            from .code_reloading import CodeReload

            CodeReload(config, options, listener).run()
        else:  # pragma: no cover - the tests run on Linux
            serve_child = partial(_serve_child, options)
            ChangeReload(config, target=serve_child, sockets=[listener]).run()


def _serve_child(  # pragma: no cover - the tests run on Linux
    options: ServeOptions, sockets: list[socket.socket] | None
) -> None:
    os.environ["LOADONCE_DEVELOPMENT"] = "1"
    end_process(serve(options, sockets[0] if sockets else None))


def _require_loopback(host: str) -> None:
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)} if host else set()
    except OSError as error:
        raise ConfigurationError(f"--host {host}: {error.strerror}") from error
    if not found or not all(ipaddress.ip_address(address).is_loopback for address in found):
        raise ConfigurationError(
            f"`loadonce dev` trusts artifacts that nobody locked, so it serves this machine only: "
            f"{host or 'every address'} is refused. Use `loadonce serve` for others to reach it."
        )
