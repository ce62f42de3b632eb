"""The command line: serve, dev, check, inspect, lock, convert, reload, rollback."""

from __future__ import annotations

import sys
import time

from loadonce.observe.collection import paused


def main() -> None:
    """The `loadonce` command."""
    # Here and not by the age of the process, which a script that ends in `exec` has too.
    began = time.monotonic()
    with paused():  # imports make many objects, and next to no garbage
        from .app import COMMANDS, command_line

        first = next((each for each in sys.argv[1:] if not each.startswith("-")), "")
        app = command_line([first] if first in COMMANDS else COMMANDS)
    app(prog_name="loadonce", obj=began)
