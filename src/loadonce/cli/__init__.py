"""The command line: serve, dev, check, inspect, lock, convert."""

from __future__ import annotations

import time

from loadonce.loaders.collection import paused


def main() -> None:
    """The `loadonce` command."""
    # Here and not by the age of the process, which a script that ends in `exec` has too.
    began = time.monotonic()
    with paused():  # imports make many objects, and next to no garbage
        from .app import app

    app(prog_name="loadonce", obj=began)
