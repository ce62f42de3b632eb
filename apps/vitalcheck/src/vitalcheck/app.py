"""The application factory: `uvicorn --factory vitalcheck.app:create_app`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import Depends, FastAPI

from loadonce.http import install

from .answers import Problem
from .logs import discreet_logs
from .middleware import BodyLimit, RequestContext
from .models import current_settings, models
from .page import page_routes
from .routes import fitness, hospital, imaging, insurance, longevity, risk, sleep
from .routes import models as artifacts
from .settings import Settings
from .uploads import json_only

API = "/api/v1"
DESCRIPTION = """Health-risk estimates from public data, served with loadonce.

A demonstration, not a medical device: the answers are statistical estimates, not diagnoses.
Values are in the units stated beside each field; null or absent means not known."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """VitalCheck, ready to be served.

    Args:
        settings: where things lie; from the environment and `.env` by default.

    Raises UnknownSettingError and pydantic's ValidationError for settings that cannot be meant.
    """
    chosen = settings or Settings()
    current_settings.set(chosen)  # for a server that loads the models before the lifespan

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        current_settings.set(chosen)
        with discreet_logs(chosen.log_level):
            async with models.running(app):
                yield

    app = FastAPI(
        title="VitalCheck",
        summary="Health-risk estimates with explanations",
        description=DESCRIPTION,
        version=chosen.api_version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    large = {f"{API}/imaging/brain-tumor": imaging.MAX_BODY_BYTES}
    app.add_middleware(BodyLimit, limit=chosen.max_body_bytes, exceptions=large)
    app.add_middleware(RequestContext)
    install(app, models)
    _include(app)
    app.router.routes.extend(page_routes(chosen.static_dir))
    return app


def _problem(description: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {"description": description, "content": content}


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: _problem("The body cannot be read"),
    413: _problem("The body is too large"),
    415: _problem("The body is of another content type"),
    422: _problem("A field breaks a rule; its value is not repeated"),
    503: _problem("A model that is needed does not serve (now); see Retry-After"),
}


def _include(app: FastAPI) -> None:
    """Each router by itself: FastAPI makes every route anew for each router around it."""
    for part in (risk, sleep, longevity, insurance, fitness, hospital):
        needs = [Depends(json_only)]
        app.include_router(part.router, prefix=API, responses=PROBLEMS, dependencies=needs)
    for other in (imaging.router, artifacts.router):
        app.include_router(other, prefix=API, responses=PROBLEMS)
