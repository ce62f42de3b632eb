"""The command line: serve, dev, check, inspect, lock."""

from __future__ import annotations


def main() -> None:
    """The `loadonce` command."""
    from .app import app

    app(prog_name="loadonce")
