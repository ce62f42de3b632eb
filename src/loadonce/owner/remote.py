"""What stands in a version for an object that another process has."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from loadonce.inference.engine import LATER, BatchFunction

from .messages import BATCH, MANY, RUN

if TYPE_CHECKING:
    from .client import OwnerClient

I = TypeVar("I")  # noqa: E741  # an item
R = TypeVar("R")


class RemoteObject:
    """Stands in a version for an object that another process has, and takes the calls on it in the
    place of an engine: that process has the engine."""

    __slots__ = ("client",)

    def __init__(self, client: OwnerClient) -> None:
        self.client = client

    def __repr__(self) -> str:
        return f"<an object in another process, by {self.client!r}>"

    def run_now(self, _function: object, _value: object, _args: object, _kwargs: object) -> Any:
        """As `Engine.run_now`: no call runs at once."""
        return LATER

    def batch_now(self, _value: object, _function: object, _item: object) -> Any:
        """As `Engine.batch_now`: no call runs at once."""
        return LATER

    async def run(
        self, function: Callable[..., R], _value: object, /, *args: Any, **kwargs: Any
    ) -> R:
        """As `Engine.run`."""
        result: R = await self.client.call(RUN, function, args, kwargs)
        return result

    async def batch(
        self, _key: Hashable, _value: object, function: BatchFunction[Any, I, R], item: I
    ) -> R:
        """As `Engine.batch`; items of all processes run together."""
        result: R = await self.client.call(BATCH, function, (item,))
        return result

    async def batch_many(
        self,
        _key: Hashable,
        _value: object,
        function: BatchFunction[Any, I, R],
        items: Sequence[I],
        *,
        return_exceptions: bool = False,
    ) -> list[R]:
        """As `Engine.batch_many`."""
        names = {"return_exceptions": return_exceptions}
        results: list[R] = await self.client.call(MANY, function, (list(items),), names)
        return results
