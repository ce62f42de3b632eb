"""`install`: what an app gets beside its lifespan."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware import Middleware

from loadonce.errors import ConfigurationError
from loadonce.lifecycle.registry import Registry

from .guard import Guard
from .handlers import add_handlers
from .metrics import metrics_route
from .openapi import describe_problems
from .probes import probe_route

_INSTALLED = "loadonce_registries"


def install(
    app: FastAPI,
    *registries: Registry,
    probes: bool = True,
    metrics: bool = False,
    allow_non_finite: bool = False,
    version_header: bool = True,
) -> None:
    """Give `app` problem details, probes and the request guard; call it where the app is made.

    - Errors of loadonce, `HTTPException`, failed validation and whatever nobody handled are
      answered with `application/problem+json` (RFC 9457) that repeats no submitted value, and the
      OpenAPI document says so. Handlers that the app declares itself are kept.
    - `/livez`, `/startupz` and `/readyz` tell how these registries are.
    - JSON bodies with NaN, infinities (also as text in a field that takes numbers), lone
      surrogates or more than 64 levels are refused, instead of making the app fail.

    A mounted app needs an `install` of its own, for its errors are handled inside it.

    Args:
        app: the app; it must not have started yet (a lifespan is too late).
        registries: whose models the probes tell about.
        probes: add the route of the three probes.
        metrics: add `/metrics` for Prometheus, on the same port as everything else.
        allow_non_finite: let NaN and the infinities in request bodies pass.
        version_header: answers of routes that use models have an `X-Model-Version` header.

    Raises:
        ConfigurationError: called twice for one app, or too late.
    """
    if installed_registries(app) is not None:
        raise ConfigurationError(
            "install() was already called for this app; name all registries in one call: "
            "install(app, a, b)"
        )
    if app.middleware_stack is not None:
        raise ConfigurationError(
            "install() came after the app had started; call it where the app is made"
        )
    setattr(app.state, _INSTALLED, registries)
    add_handlers(app)
    describe_problems(app, version_header=version_header)
    # Innermost, so that answers to failures still pass the app's own middleware (CORS, ids, ...).
    app.user_middleware.append(
        Middleware(
            Guard, owner=app, allow_non_finite=allow_non_finite, version_header=version_header
        )
    )
    if probes:
        app.router.routes.insert(0, probe_route(registries))
    if metrics:
        app.router.routes.insert(0, metrics_route(registries))


def installed_registries(app: FastAPI) -> tuple[Registry, ...] | None:
    """The registries that `install` was called with; None if it was not called for `app`."""
    found: tuple[Registry, ...] | None = getattr(app.state, _INSTALLED, None)
    return found
