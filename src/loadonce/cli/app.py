"""The `loadonce` command and how its errors are told."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from loadonce.errors import LoadOnceError

from . import check, convert, dev, inspect, lock, serve


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


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog="Example: `loadonce serve main:app --port 8001`",
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from loadonce import __version__

        typer.echo(f"loadonce {__version__}")
        raise typer.Exit


@app.callback()
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


app.command("serve")(serve.serve)
app.command("dev")(dev.dev)
app.command("check")(check.check)
app.command("inspect")(inspect.inspect)
app.command("lock")(lock.lock)
app.command("convert")(convert.convert)
