"""The engine of a model that lives in a process of its own: calls go there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from loadonce.inference.engine import LATER, BatchFunction, Engine

from .messages import BATCH, MANY, RUN
from .remote import RemoteObject

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # an item
R = TypeVar("R")


class OwnedEngine(Engine):
    """Runs the calls on what is here, an override, as any engine; sends the others away."""

    def run_now(
        self, function: Callable[..., R], value: object, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        """`LATER`, for a call on what is elsewhere."""
        if isinstance(value, RemoteObject):
            return LATER
        return super().run_now(function, value, args, kwargs)

    def batch_now(self, value: T, function: BatchFunction[T, I, R], item: I) -> Any:
        """`LATER`, for a call on what is elsewhere."""
        if isinstance(value, RemoteObject):
            return LATER
        return super().batch_now(value, function, item)

    async def run(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
        """As `Engine.run`; the first argument is the object."""
        if args and isinstance(args[0], RemoteObject):
            result: R = await args[0].client.call(RUN, function, args[1:], kwargs)
            return result
        return await super().run(function, *args, **kwargs)

    async def batch(self, key: Hashable, value: T, function: BatchFunction[T, I, R], item: I) -> R:
        """As `Engine.batch`; items of all processes run together."""
        if isinstance(value, RemoteObject):
            result: R = await value.client.call(BATCH, function, (item,))
            return result
        return await super().batch(key, value, function, item)

    async def batch_many(
        self,
        key: Hashable,
        value: T,
        function: BatchFunction[T, I, R],
        items: Sequence[I],
        *,
        return_exceptions: bool = False,
    ) -> list[R]:
        """As `Engine.batch_many`."""
        if isinstance(value, RemoteObject):
            names = {"return_exceptions": return_exceptions}
            results: list[R] = await value.client.call(MANY, function, (list(items),), names)
            return results
        return await super().batch_many(
            key, value, function, items, return_exceptions=return_exceptions
        )
