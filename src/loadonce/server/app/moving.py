"""Clients of a worker that has more than its share: they are told to connect anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

CLOSE = (b"connection", b"close")  # a header of a response


def let_move(connections: Iterable[Any], count: int) -> None:
    """Have so many clients connect anew, to whoever takes them: of those that wait for an answer,
    which tells them. To close a connection that is idle might lose what is on its way.

    Args:
        connections: uvicorn's protocols.
        count: clients that were told before and have not had their answer are among them.
    """
    cycles = [each.cycle for each in connections if getattr(each, "cycle", None) is not None]
    waiting = [cycle for cycle in cycles if not cycle.response_started]
    unaware = [cycle for cycle in waiting if CLOSE not in cycle.default_headers]
    told = len(waiting) - len(unaware)
    for cycle in unaware[: max(0, count - told)]:
        cycle.default_headers = [*cycle.default_headers, CLOSE]  # the list is everybody's
