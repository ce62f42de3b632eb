"""How an app is wired: lifespans that run, hooks that do not, handlers that are installed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, cast

from fastapi import FastAPI
from starlette.applications import Starlette

from loadonce.http import installed_registries
from loadonce.lifecycle.registry import Registry

from .check_handlers import models_of
from .findings import Finding
from .routes import handlers, mounted_apps


def check_wiring(app: Starlette, registries: Sequence[Registry]) -> Iterator[Finding]:
    """Whether everything that should run when `app` starts does run."""
    yield from _check_lifespan(app, registries)
    yield from _check_hooks(app)
    for path, mounted in mounted_apps(app):
        yield from _check_mounted(path, mounted)
    yield from _check_install(app, registries)


def _check_lifespan(app: Starlette, registries: Sequence[Registry]) -> Iterator[Finding]:
    parts = list(_parts(app.router.lifespan_context))
    for registry in registries:
        name = type(registry).__name__
        if any(getattr(part, "__self__", None) is registry for part in parts):
            yield Finding("ok", name, "the app's lifespan loads it")
        elif not any(_mentions(part, registry) for part in parts):
            yield Finding(
                "warning",
                name,
                "the app's lifespan may not load it: nothing there names this registry",
                "pass `lifespan=models.lifespan` to FastAPI, or enter `models.running(app)` in a "
                "lifespan of your own",
            )


def _check_hooks(app: Starlette) -> Iterator[Finding]:
    run: list[object] = []
    for part in _parts(app.router.lifespan_context):
        if _is_default(part):
            run += _hooks(part._router)
    for hook in _hooks(app.router):
        if hook not in run:
            yield Finding(
                "warning",
                "lifespan",
                f"the hook {_name(hook)} will never run: with a lifespan, FastAPI ignores "
                "on_event, on_startup and on_shutdown",
                "move what it does into the lifespan",
            )


def _check_mounted(path: str, app: Starlette) -> Iterator[Finding]:
    parts = _parts(app.router.lifespan_context)
    if any(not _is_default(part) for part in parts) or _hooks(app.router):
        yield Finding(
            "warning",
            f"mounted app {path}",
            "its lifespan and hooks will not run: a mounted app gets none",
            "enter them in the outer app's lifespan, e.g. `async with models.running(app)`",
        )
    if _uses_models(app) and isinstance(app, FastAPI) and installed_registries(app) is None:
        yield _no_install(f"mounted app {path}")


def _check_install(app: Starlette, registries: Sequence[Registry]) -> Iterator[Finding]:
    known = installed_registries(app) if isinstance(app, FastAPI) else None
    if known is None:
        yield _no_install("install")
        return
    for registry in registries:
        if registry not in known:
            yield Finding(
                "warning",
                "install",
                f"the probes do not tell about {type(registry).__name__}",
                "name every registry: `install(app, models, others)`",
            )


def _no_install(subject: str) -> Finding:
    return Finding(
        "warning",
        subject,
        "no problem details: errors of models are answered 500",
        "call `loadonce.http.install(app, models)` where the app is made",
    )


def _uses_models(app: Starlette) -> bool:
    return any(True for handler in handlers(app) for _ in models_of(handler.dependant))


def _parts(context: Any) -> Iterator[Any]:
    """The lifespans that a lifespan is made of: including a router merges its own."""
    inner = inspect.unwrap(context) if callable(context) else context
    if getattr(inner, "__name__", "") == "merged_lifespan":
        for part in inspect.getclosurevars(inner).nonlocals.values():
            yield from _parts(part)
    else:
        yield context


def _is_default(part: object) -> bool:
    return type(part).__name__ == "_DefaultLifespan" and hasattr(part, "_router")


def _hooks(router: Any) -> list[object]:
    return [*getattr(router, "on_startup", ()), *getattr(router, "on_shutdown", ())]


def _mentions(part: object, registry: Registry) -> bool:
    """Whether the function's code names the registry, directly or by its module."""
    function = inspect.unwrap(cast("Callable[..., object]", part)) if callable(part) else part
    if not inspect.isfunction(function):
        return False
    names = inspect.getclosurevars(function)
    found: list[object] = [*names.globals.values(), *names.nonlocals.values()]
    for value in tuple(found):
        if isinstance(value, ModuleType):
            found += vars(value).values()
    return any(value is registry for value in found)


def _name(hook: object) -> str:
    return f"'{getattr(hook, '__name__', hook)}'"
