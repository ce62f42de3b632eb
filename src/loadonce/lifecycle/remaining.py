"""Threads that a load has left running: they would not exist after a fork, and whoever waits for
one waits for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from loadonce.observe.tasks import task_name, tasks

from .building import artifact_of
from .slot import Slot

_LAST_SECONDS = 1.0  # for threads that only loaded to end
_OF_THE_LOOP = "asyncio_"  # they end with the event loop


async def threads_left(slots: Sequence[Slot[Any]]) -> dict[Slot[Any], str]:
    """The models whose own loader functions have left threads running, with the threads' names.

    Built-in loaders say for themselves whether a fork breaks what they load; so does `fork=`. A
    thread that began while such a model was loaded, too, counts as its.
    """
    suspects = [slot for slot in slots if _is_unknown(slot)]
    excused = frozenset[int]().union(*(_born(slot) for slot in slots if slot not in suspects))
    left = frozenset[int]().union(*map(_born, suspects)) - excused
    deadline = time.monotonic() + _LAST_SECONDS
    while (left := _alive(left)) and time.monotonic() < deadline:  # noqa: ASYNC110  # no event tells
        await asyncio.sleep(0.01)
    found = {
        slot: sorted({task_name(number) for number in _born(slot) & left}) for slot in suspects
    }
    return {slot: ", ".join(names) for slot, names in found.items() if names}


def _is_unknown(slot: Slot[Any]) -> bool:
    return callable(artifact_of(slot).loader) and slot.declaration.fork is None


def _born(slot: Slot[Any]) -> frozenset[int]:
    return slot.current.tasks if slot.current is not None else frozenset()


def _alive(numbers: frozenset[int]) -> frozenset[int]:
    here = numbers & tasks()
    return frozenset(each for each in here if not task_name(each).startswith(_OF_THE_LOOP))
