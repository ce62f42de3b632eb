"""The certificates of a server, tried before anything is loaded."""

from __future__ import annotations

import ssl

from loadonce.errors import ConfigurationError
from loadonce.server.options import ServeOptions


def check_certificates(options: ServeOptions) -> None:
    """See that TLS will work, where it is wanted.

    Raises:
        ConfigurationError: a file is missing, or no certificate or key that fits.
    """
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
