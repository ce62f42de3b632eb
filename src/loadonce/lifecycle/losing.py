"""Why something that nobody closed has ended, as an error and in the log."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from loadonce.errors import LoaderFailedError

from .slot import Slot

logger = logging.getLogger("loadonce")


def loss(slot: Slot[Any], ended: asyncio.Task[None]) -> LoaderFailedError:
    """The error about a resource, or a model's process, that ended by itself; logs the cause."""
    what = "model's process" if slot.is_owned else "resource"
    problem = f"the {what} ended by itself while it was in use"
    cause = None if ended.cancelled() else ended.exception()
    if cause is None:
        return LoaderFailedError(slot.name, problem)
    logger.error("model '%s': %s", slot.name, problem, exc_info=cause)
    error = LoaderFailedError(slot.name, problem, found=_told(cause))
    error.__cause__ = cause
    return error


def _told(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # the group itself says nothing
    return f"{type(error).__name__}: {error}"
