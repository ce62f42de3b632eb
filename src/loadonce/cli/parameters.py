"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadonce.observe.events import LogLevel

Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="The app as module:attribute, e.g. main:app.")
]
Factory = Annotated[
    bool,
    typer.Option("--factory", help="TARGET is a function without parameters that makes the app."),
]
AppDir = Annotated[
    Path,
    typer.Option(
        "--app-dir",
        help="Directory that holds the module; put first on the import path.",
        exists=True,
        file_okay=False,
    ),
]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 for any free one.")
]
Level = Annotated[
    LogLevel,
    typer.Option(
        "--log-level",
        envvar="LOADONCE_LOG_LEVEL",
        help="Of loadonce, uvicorn and the app's own package; debug shows tracebacks.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def size_of(given: str, option: str) -> int:
    """The bytes that an option names, such as "1GiB".

    Raises:
        typer.BadParameter: it names none.
    """
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(given))
    except ValidationError:
        problem = f"'{given}' is no size such as 512MiB or 1GiB"
        raise typer.BadParameter(problem, param_hint=option) from None
