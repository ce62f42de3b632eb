"""`loadonce check`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import console
from .parameters import AppDir, Factory, Json, Target

if TYPE_CHECKING:
    from loadonce.lifecycle.registry import Registry

    from .findings import Finding


def check(
    target: Target,
    factory: Factory = False,
    app_dir: AppDir = Path("."),
    as_json: Json = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings are errors too; notes are not.")
    ] = False,
) -> None:
    """Check an app without running it: artifacts, types, handlers, wiring.

    Imports the app, reads every artifact once and compares it with the lock file, but loads
    nothing. Ends with 1 if something is wrong, which makes it a good step before each release.

    Examples:

      loadonce check main:app

      loadonce check main:app --strict --json
    """
    from loadonce.lifecycle.registry import registries
    from loadonce.server import import_app

    from . import findings as found

    app = import_app(target, app_dir=app_dir, is_factory=factory)
    known = sorted(registries(), key=lambda registry: type(registry).__name__)
    findings = check_app(app, known)
    if strict:
        findings = found.as_errors(findings)
    if as_json:
        typer.echo(json.dumps(found.as_json(target, findings), indent=2))
    else:
        found.show(console(), findings)
    if found.has_errors(findings):
        raise typer.Exit(1)


def check_app(app: object, registries: Sequence[Registry]) -> list[Finding]:
    """Everything there is to find out about an app that was imported.

    Args:
        app: the ASGI app; its handlers, routes and wiring are looked at if it is Starlette's or
            FastAPI's.
        registries: those it uses.
    """
    from starlette.applications import Starlette

    from loadonce.settings import Settings

    from .check_artifacts import check_artifacts
    from .check_handlers import check_handlers
    from .check_routes import check_routes
    from .check_types import check_types
    from .check_wiring import check_wiring
    from .findings import Finding

    allow = Settings().allow_version_mismatch
    findings: list[Finding] = []
    if not registries:
        findings.append(Finding("warning", "app", "declares no registry: there is nothing to load"))
    for registry in registries:
        findings += check_artifacts(registry, allow_version_mismatch=allow)
        findings += check_types(registry)
    if isinstance(app, Starlette):
        findings += check_handlers(app)
        findings += check_routes(app)
        findings += check_wiring(app, registries)
    else:
        findings.append(
            Finding("warning", "app", f"a {type(app).__name__}, whose routes cannot be looked at")
        )
    return findings
