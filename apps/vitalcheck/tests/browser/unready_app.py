"""VitalCheck on a bad day: three models answer as loadonce does while they cannot serve.

The dependencies are replaced by FastAPI's own means; errors, status codes and headers are real.
"""

from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

from fastapi import FastAPI

from loadonce import FailedError, Handle, NotReadyError
from vitalcheck.app import create_app as create
from vitalcheck.models import models

_REFUSALS = 2


def create_app() -> FastAPI:
    """The diabetes model is ready at the third request, sleep never, heart not for an hour."""
    app = create()
    app.dependency_overrides[models.diabetes] = _soon_ready()
    app.dependency_overrides[models.sleep] = _failed
    app.dependency_overrides[models.heart] = _long_loading
    return app


def _soon_ready() -> Callable[[], AsyncIterator[Handle[Any]]]:
    requests = count()

    async def lease() -> AsyncIterator[Handle[Any]]:
        if next(requests) < _REFUSALS:
            raise NotReadyError("diabetes", "the model is loading", retry_after=1.0)
        async with models.diabetes.lease() as handle:
            yield handle

    return lease


def _failed() -> None:
    raise FailedError("sleep", "the model failed to load")


def _long_loading() -> None:
    raise NotReadyError("heart", "the model is loading", retry_after=3600.0)
