"""Which direct routes of an app are direct, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.applications import Starlette

from loadonce.http.direct import direct_routes

from .findings import Finding


def check_routes(app: Starlette) -> Iterator[Finding]:
    """A line for each `DirectRoute`; that FastAPI serves one is a note, for it answers the same."""
    for name, reason in direct_routes(app):
        if reason:
            yield Finding("note", name, f"a direct route served through FastAPI: {reason}")
        else:
            yield Finding("ok", name, "a direct route")
