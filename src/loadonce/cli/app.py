"""The `loadonce` command and how its errors are told."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from loadonce.errors import LoadOnceError

COMMANDS = ("serve", "dev", "check", "inspect", "lock", "convert", "reload", "rollback")


class _Commands(TyperGroup):
    """Commands whose errors are one message; a traceback comes with --debug only."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except (LoadOnceError, OSError) as error:
            tell(error, ctx.params["debug"])
            raise typer.Exit(1) from error


def tell(error: Exception, is_debug: bool) -> None:
    """Write an error to standard error, for people."""
    if is_debug:
        traceback.print_exception(error)
    print_error(str(error))


def print_error(text: str) -> None:
    """One message, "error:" before it."""
    sys.stderr.write(f"error: {text}\n")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from loadonce import __version__

        typer.echo(f"loadonce {__version__}")
        raise typer.Exit


def loadonce(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Machine-learning models behind FastAPI: loaded once, verified, typed, shared.

    In most commands **TARGET** names the app as **module:attribute**, such as main:app.
    """


def command_line(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """The commands with these names; others take time to make, and a start needs one only."""
    app = typer.Typer(
        cls=_Commands,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        add_completion=False,
        epilog="Example: `loadonce serve main:app --port 8001`",
    )
    app.callback()(loadonce)
    for name in names:
        module = import_module(f".{name}", __package__)
        app.command(name)(getattr(module, name))
    return app
