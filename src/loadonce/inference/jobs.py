"""Calls that wait for their results, and the jobs that they run in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import Any

from .placement import Profile
from .threads import holdable

_FIRST = range(1)


class Call:
    """One caller's wait: for one result, or for those of many items.

    Attributes:
        future: the results, in the order of the items, or an error.
        enqueued: when it began to wait, on the loop's clock.
        prices: what each item costs in a batch.
        returns_exceptions: an item's error stands among the results instead of ending the call.
        task: the caller.
        jobs: where its items wait or run.
    """

    __slots__ = (
        *("_left", "_results", "enqueued", "future", "items", "jobs", "prices"),
        *("returns_exceptions", "task"),
    )

    def __init__(
        self,
        future: asyncio.Future[list[Any]],
        enqueued: float,
        items: Sequence[Any],
        prices: Sequence[float],
        returns_exceptions: bool,
        task: asyncio.Task[Any] | None = None,
    ) -> None:
        self.future = future
        self.enqueued = enqueued
        self.items = items
        self.prices = prices
        self.jobs: list[Job] = []
        self.returns_exceptions = returns_exceptions
        self.task = task
        self._left = len(items)
        self._results: list[Any] | None = None

    def settle(self, start: int, outcomes: Sequence[Any]) -> None:
        """Some of its items have their results; an exception is that item's error."""
        if self.future.done():
            return
        if not self.returns_exceptions:
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    self.future.set_exception(holdable(outcome))
                    return
        if len(outcomes) == len(self.items):  # nearly always
            self.future.set_result(list(outcomes))
            return
        if self._results is None:
            self._results = [None] * len(self.items)
        self._results[start : start + len(outcomes)] = outcomes
        self._left -= len(outcomes)
        if not self._left:
            self.future.set_result(self._results)

    def fail(self, error: BaseException) -> bool:
        """Give the caller an error; False if it has an outcome already, or has left."""
        if self.future.done():
            return False
        self.future.set_exception(error)
        return True

    def forget(self) -> None:
        """The caller no longer waits: nothing of this call is left behind."""
        self.future.cancel()  # an error that it has counts as seen, and is not reported as lost


class Job:
    """What runs at one go: one plain call, or the items of one batch.

    Attributes:
        key: calls with equal keys join a job; None for a plain call, which no other joins.
        function: of a plain call without arguments, of a batch of the value and the items.
        parts: for each call the range of its items that are in this job.
        size: what its items cost together.
    """

    __slots__ = (
        *("count", "function", "is_running", "key", "parts", "profile", "size", "task"),
        "value",
    )

    def __init__(
        self, key: Hashable, profile: Profile, function: Callable[..., Any], value: object
    ) -> None:
        self.key = key
        self.profile = profile
        self.function = function
        self.value = value
        self.parts: dict[Call, range] = {}
        self.count = 0
        self.size = 0.0
        self.is_running = False
        self.task: asyncio.Task[Any] | None = None

    @property
    def lane(self) -> str:
        """Whose turn it takes."""
        return self.profile.name

    @property
    def first(self) -> Call:
        """The call that has waited longest."""
        return next(iter(self.parts))

    def add(self, call: Call, number: int) -> None:
        """Take one more item of a call; a call's items come in order, one after the other."""
        part = self.parts.get(call)
        if part is None:
            call.jobs.append(self)
            self.parts[call] = range(number, number + 1) if number else _FIRST
        else:
            self.parts[call] = range(part.start, number + 1)
        self.count += 1
        self.size += call.prices[number]

    def remove(self, call: Call) -> int:
        """A caller leaves before its turn; returns how many items went with it."""
        part = self.parts.pop(call)
        call.jobs.remove(self)
        self.count -= len(part)
        self.size -= sum(call.prices[number] for number in part)
        return len(part)

    def take(self, limit: float) -> Job:
        """A job of as many of its first items as `limit` allows, at least one; they leave this
        one. All of them: this job itself."""
        if self.size <= limit or self.count == 1:
            return self
        taken = Job(self.key, self.profile, self.function, self.value)
        while True:
            call = self.first
            part = self.parts[call]
            price = call.prices[part.start]
            if taken.count and taken.size + price > limit:
                return taken
            taken.add(call, part.start)
            self.count -= 1
            self.size -= price
            if len(part) > 1:
                self.parts[call] = part[1:]
            else:
                del self.parts[call]
                call.jobs.remove(self)

    def items(self) -> list[Any]:
        """The items, call by call."""
        return [call.items[number] for call, part in self.parts.items() for number in part]

    def is_wanted(self, numbers: range) -> bool:
        """Whether anyone still waits for one of these items. May be asked from a thread."""
        position = 0
        for call, part in self.parts.items():
            is_among = position < numbers.stop and numbers.start < position + len(part)
            if is_among and not call.future.done():
                return True
            position += len(part)
        return False

    def settle(self, outcomes: Sequence[Any], at_once: int = 0) -> int:
        """Give every caller the results; returns how many of them are errors.

        Args:
            at_once: to so many callers in one turn of the event loop, so that it looks at its
                sockets in between; 0 for all.
        """
        self._settle(iter(self.parts.items()), 0, outcomes, at_once or len(self.parts))
        errors = 0
        for outcome in outcomes:
            errors += isinstance(outcome, Exception)
        return errors

    def _settle(
        self,
        callers: Iterator[tuple[Call, range]],
        position: int,
        outcomes: Sequence[Any],
        at_once: int,
    ) -> None:
        for call, part in islice(callers, at_once):
            end = position + len(part)
            call.settle(part.start, outcomes[position:end])
            position = end
        if position < len(outcomes):
            loop = asyncio.get_running_loop()
            loop.call_soon(self._settle, callers, position, outcomes, at_once)

    def fail(self, error: BaseException) -> None:
        """Give every caller this error."""
        for call in self.parts:
            call.fail(error)
