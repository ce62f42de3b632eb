"""`loadonce inspect`."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .output import console
from .parameters import AppDir, Factory, Json, Target

if TYPE_CHECKING:
    from rich.console import Console

    from loadonce.errors import LoadOnceError
    from loadonce.lifecycle.model import ModelStatus
    from loadonce.lifecycle.registry import Registry

_COLOURS = {"ready": "green", "failed": "red"}


def inspect(
    target: Target, factory: Factory = False, app_dir: AppDir = Path("."), as_json: Json = False
) -> None:
    """Load an app's models, without serving it, and show what they are.

    One row for each model: state, version, digest, bytes on disk and in memory, seconds to load,
    versions of the libraries it was made with. Models for the first use stay as they are. Ends
    with 1 if a required model does not load.

    Example:

      loadonce inspect main:app
    """

    from loadonce.lifecycle.registry import registries
    from loadonce.server import import_app

    logging.getLogger("loadonce").setLevel(logging.CRITICAL)  # the table tells all
    import_app(target, app_dir=app_dir, is_factory=factory)
    known = sorted(registries(), key=lambda registry: type(registry).__name__)
    rows, error = asyncio.run(_load(known))
    if as_json:
        typer.echo(json.dumps([_as_json(row) for row in rows], indent=2))
    else:
        _show(console(), rows)
    if error is not None:
        raise error


async def _load(
    registries: Sequence[Registry],
) -> tuple[list[ModelStatus], LoadOnceError | None]:
    """Every model's status once all are loaded that load by themselves; why that stopped."""
    from loadonce.errors import LoadOnceError

    rows: list[ModelStatus] = []
    error: LoadOnceError | None = None
    async with AsyncExitStack() as stack:
        for registry in registries:
            try:
                await stack.enter_async_context(registry.running())
            except LoadOnceError as failure:
                error = failure
            else:
                attempts = [model.slot.attempt for model in registry]
                await asyncio.gather(*(attempt for attempt in attempts if attempt is not None))
            rows += registry.status()
    return rows, error


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
