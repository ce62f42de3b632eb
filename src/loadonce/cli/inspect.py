"""`loadonce inspect`."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import console
from .parameters import AppDir, Factory, Json

if TYPE_CHECKING:
    from rich.console import Console

    from loadonce.lifecycle.model import ModelStatus

_COLOURS = {"ready": "green", "failed": "red"}


def inspect(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help="The app as module:attribute, e.g. main:app.", show_default=False
        ),
    ] = "",
    factory: Factory = False,
    app_dir: AppDir = Path("."),
    startup: Annotated[
        bool,
        typer.Option("--startup", help="Show instead where the time of a start goes, as bars."),
    ] = False,
    live: Annotated[
        bool,
        typer.Option("--live", help="Show instead a server of yours that runs; needs no TARGET."),
    ] = False,
    pid: Annotated[
        int | None, typer.Option("--pid", help="With --live: which, where several run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Load an app's models, without serving it, and show what they are.

    One row for each model: state, version, digest, bytes on disk and in memory, seconds to load,
    versions of the libraries it was made with. Models for the first use stay as they are. Ends
    with 1 if a required model does not load.

    With --startup, the app is started in processes of their own: what its imports take, package by
    package, and what each model takes to be read, loaded and tried out.

    With --live, a running `loadonce serve` is looked at, without asking it anything: what each of
    its processes holds, shares and has written to, and what its models have done.

    Examples:

      loadonce inspect main:app

      loadonce inspect main:app --startup

      loadonce inspect --live
    """
    if live:
        _show_live(pid, as_json=as_json)
    elif not target:
        raise typer.BadParameter("name an app, or say --live", param_hint="TARGET")
    elif startup:
        _show_startup(target, app_dir, is_factory=factory, as_json=as_json)
    else:
        _show_models(target, app_dir, is_factory=factory, as_json=as_json)


def _show_live(pid: int | None, *, as_json: bool) -> None:
    from loadonce.server.board.running import find_server

    from . import live

    found = find_server(pid)
    if as_json:
        typer.echo(json.dumps(live.as_json(found), indent=2))
    else:
        live.show_live(console(), found)


def _show_startup(target: str, app_dir: Path, *, is_factory: bool, as_json: bool) -> None:
    from loadonce.errors import ConfigurationError

    from .startup import measure_startup, show_startup

    found = measure_startup(target, app_dir, is_factory=is_factory)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        show_startup(console(), found)
    if found.rehearsal.error:
        raise ConfigurationError(found.rehearsal.error)


def _show_models(target: str, app_dir: Path, *, is_factory: bool, as_json: bool) -> None:
    from loadonce.lifecycle.registry import registries
    from loadonce.server import import_app

    from .loading import load_all

    logging.getLogger("loadonce").setLevel(logging.CRITICAL)  # the table tells all
    import_app(target, app_dir=app_dir, is_factory=is_factory)
    known = sorted(registries(), key=lambda registry: type(registry).__name__)
    loaded = asyncio.run(load_all(known))
    if as_json:
        typer.echo(json.dumps([_as_json(row) for row in loaded.rows], indent=2))
    else:
        _show(console(), loaded.rows)
    if loaded.error is not None:
        raise loaded.error


def _as_json(row: ModelStatus) -> dict[str, object]:
    found = asdict(row)
    del found["statistics"], found["leases"]  # of a server, not of a model
    return found


def _show(out: Console, rows: Sequence[ModelStatus]) -> None:
    from rich.table import Table

    from loadonce.observe.memory import format_bytes

    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("model", "kind", "state", "version", "sha256"):
        table.add_column(heading, no_wrap=heading != "kind")
    for heading in ("on disk", "in memory", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("libraries")
    for row in rows:
        colour = _COLOURS.get(row.state, "yellow")
        table.add_row(
            row.name,
            row.kind,
            f"[{colour}]{row.state}[/]",
            row.version,
            row.sha256[:12],
            format_bytes(row.bytes_on_disk) if row.sha256 else "",
            format_bytes(row.bytes_in_memory),
            f"{row.load_seconds:.2f}",
            ", ".join(f"{name} {version}" for name, version in row.libraries.items()),
        )
    out.print(table)
    for row in rows:
        if row.error and not row.required:
            out.print(row.error, markup=False, style="yellow")
