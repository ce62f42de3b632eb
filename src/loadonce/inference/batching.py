"""What runs together: how many fit, what they wait for, and what to do when some of them fail.

Pure decisions; no clock is read and nothing is awaited here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from loadonce.errors import BatchResultError, ConfigurationError

_GAIN = 0.9  # of the time that something takes: what takes less is worth a change
_STAKE = 0.25  # of what is saved that a batch may wait for it
_LEAST = 1e-3  # seconds: what a timer is good for
_SHARE = 0.5  # of the time left that a batch may be expected to take


def bucket(size: float) -> int:
    """Batches of about one size share a measurement: 1, 2, 3-4, 5-8, 9-16, ..."""
    return max(0, math.ceil(size) - 1).bit_length()


def checked_price(model: str, cost: Callable[[Any], float], item: object) -> float:
    """What `cost` says that an item costs.

    Raises:
        ConfigurationError: it is no number, not finite, or below 0.
        Exception: what `cost` raised.
    """
    price: Any = cost(item)
    with suppress(TypeError, ValueError, OverflowError):  # no number, or too large an integer
        if math.isfinite(price) and price >= 0:
            return float(price)
    name = getattr(cost, "__qualname__", type(cost).__name__)
    raise ConfigurationError(
        f"model '{model}': batch_cost '{name}' must return a finite number of at least 0 for each "
        f"item; it returned another {type(price).__name__}"
    )


def seconds_until_due(size: float, limit: float, waited: float, max_wait: float) -> float:
    """How long a batch of this size, whose first call has waited so long, should gather yet."""
    return 0.0 if size >= limit else max(0.0, max_wait - waited)


def affordable_size(curve: Sequence[float], left: float, limit: float) -> float:
    """The size that a batch may have to be done in time, at most `limit`, at least 1.

    Args:
        curve: seconds that batches of 1, 2, 4, 8, ... took; 0 where unknown. Unknown sizes count
            as proportional to the next smaller known one.
        left: seconds until the first of its calls is late.
        limit: the largest size there may be.
    """
    fits, expected = 1.0, 0.0
    for number in range(bucket(limit) + 1):
        known = curve[number] if number < len(curve) else 0.0
        expected = known or 2 * expected
        if expected > left * _SHARE:
            return fits
        fits = min(2.0**number, limit)
    return fits


def halves_pay(whole: float, half: float, turn: float) -> bool:
    """Whether a batch is done sooner as two halves: one runs while the event loop answers the
    other's callers and takes their next calls. As one batch, model and loop wait for each other.

    Args:
        whole: seconds that the batch takes in a thread; 0, which never pays, where unknown.
        half: seconds that half of it takes.
        turn: seconds in which the loop answered the batch before and took the calls of this one.
    """
    return max(2 * half, turn) < _GAIN * (whole + turn)


def patience(apart: float, together: float) -> float:
    """How long a batch may wait for calls that would join it.

    Args:
        apart: seconds that it and a batch of these calls take one after the other.
        together: seconds that all of them take as one batch.
    """
    seconds = _STAKE * (_GAIN * apart - together)
    return seconds if seconds >= _LEAST else 0.0


def as_results(
    model: str, function: str, results: Iterable[Any], count: int
) -> list[Any] | tuple[Any, ...]:
    """What a batch function returned, as one result for each item.

    Raises:
        BatchResultError: it returned another number of results, or no results at all.
    """
    if not isinstance(results, list | tuple):
        try:
            results = list(results)  # a numpy array counts as its rows
        except TypeError:
            found = f"a {type(results).__name__}"
            raise BatchResultError(model, function, count, found) from None
    if len(results) != count:
        raise BatchResultError(model, function, count, f"{len(results)} results")
    return results


class Split:
    """The items of a batch that failed, tried again in halves until each failing one is alone.

    One failing item among n costs about 2 log2(n) more calls.

    Attributes:
        outcomes: a result or an exception for each item, once `next_part` returns None.
    """

    def __init__(self, count: int) -> None:
        self.outcomes: list[Any] = [None] * count
        half = count // 2
        self._parts = [range(half, count), range(half)]

    def next_part(self) -> range | None:
        """Which items to try together next."""
        return self._parts.pop() if self._parts else None

    def succeeded(self, part: range, results: Sequence[Any]) -> None:
        """These items have their results."""
        self.outcomes[part.start : part.stop] = results

    def failed(self, part: range, error: BaseException, *, is_final: bool = False) -> None:
        """Trying these items raised; more than one are halved again, unless that is final."""
        if len(part) == 1 or is_final:
            self.outcomes[part.start : part.stop] = [error] * len(part)
            return
        middle = part.start + len(part) // 2
        self._parts += [range(middle, part.stop), range(part.start, middle)]
