"""Idle registries: installed in an app that has started without loading them."""

from __future__ import annotations

from fastapi import FastAPI

from loadonce.http import installed_registries


def why_idle(app: object) -> str:
    """What to do about the registries that `install` was called with for this app, and that run
    in no lifespan although it has started; "" if all do."""
    while app is not None and not isinstance(app, FastAPI):
        app = getattr(app, "app", None)  # what middleware wraps, by custom
    known = (installed_registries(app) if app is not None else None) or ()
    idle = [
        type(registry).__name__ for registry in known if len(registry) and not registry.is_running
    ]
    if not idle:
        return ""
    return (
        f"no lifespan loads {', '.join(idle)}, whose models the app has installed: pass "
        "`lifespan=models.lifespan` to FastAPI, or enter `models.running(app)` in a lifespan of "
        "your own"
    )
