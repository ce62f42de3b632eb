"""Load an app's models as its start would, without serving it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from loadonce.errors import LoadOnceError
from loadonce.lifecycle.model import ModelStatus
from loadonce.lifecycle.registry import Registry


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What became of the models.

    Attributes:
        rows: every model's status once all are loaded that load by themselves.
        error: why the start stopped, if it did.
        seconds: until the app would have been ready; models for the background not counted.
    """

    rows: Sequence[ModelStatus]
    error: LoadOnceError | None
    seconds: float


async def load_all(registries: Sequence[Registry]) -> LoadResult:
    """Run the registries, one after the other as most lifespans do, and leave them again."""
    rows: list[ModelStatus] = []
    error: LoadOnceError | None = None
    seconds = 0.0
    async with AsyncExitStack() as stack:
        for registry in registries:
            began = time.monotonic()
            try:
                await stack.enter_async_context(registry.running())
            except LoadOnceError as failure:
                error = failure
            seconds += time.monotonic() - began
            attempts = [model.slot.attempt for model in registry]
            await asyncio.gather(*(attempt for attempt in attempts if attempt is not None))
            rows += registry.status()
    return LoadResult(rows, error, seconds)
