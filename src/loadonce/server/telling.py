"""What is told, and to whom: where the app is, that certificates cannot be read."""

from __future__ import annotations

import logging
import ssl
import sys
import time

from loadonce.errors import ConfigurationError

from .options import ServeOptions

logger = logging.getLogger("loadonce")


def tell_ready(url: str, began: float, models: int, workers: int = 1) -> None:
    """The line that says where the app is served, and since when."""
    seconds = round(time.monotonic() - began, 2)
    line = f"ready on {url} in {seconds:g} s, {models} model{'s' if models != 1 else ''}"
    fields: dict[str, object] = {"url": url, "models": models, "seconds": seconds}
    if workers > 1:
        line += f", {workers} workers"
        fields["workers"] = workers
    logger.info("%s", line, extra={"loadonce": fields})


def has_terminal() -> bool:
    """Whether somebody sits before this process."""
    return sys.stdin is not None and sys.stdin.isatty()


def check_certificates(options: ServeOptions) -> None:
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
