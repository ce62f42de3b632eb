"""Room in memory: whether a coming generation fits beside the one that serves."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from loadonce.observe.events import log_fields
from loadonce.observe.memory import available_bytes, format_bytes, memory_of
from loadonce.observe.processes import descendants_of
from loadonce.server.options import ReloadPolicy
from loadonce.system.channel import Message

from .child_processes import WorkerProcess, ZygoteProcess


class Room:
    """Decides for a generation that has verified its artifacts and asks whether it may load.

    Args:
        policy: "memory" never has two generations in memory; "availability" does where they fit.
    """

    def __init__(self, policy: ReloadPolicy) -> None:
        self._policy = policy
        self._asking: ZygoteProcess | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits until all others have ended."""
        return self._asking is not None

    def ask(
        self,
        zygote: ZygoteProcess,
        message: Message,
        others: Iterable[ZygoteProcess],
        workers: Sequence[WorkerProcess],
        *,
        serves: bool,
    ) -> None:
        """Answer at once, or want room: all others are to end, then call `give`.

        Where even that would not be enough nothing ends: the answer is the same, and the load is
        refused by who asked.

        Args:
            zygote, message: who asks, and how many bytes it needs and sees.
            others, workers: who may hold memory.
            serves: whether another generation does, which could end.
        """
        if not serves:
            zygote.channel.send({"what": "room"})
            return
        needed, available = message["needed"], message["available"]
        held = _held([each for each in others if each is not zygote], workers)
        fields = {
            "needed": format_bytes(needed),
            "available": "unknown" if available is None else format_bytes(available),
            "held": format_bytes(held),
        }
        if available is None or needed <= available + held:
            log_fields(logging.WARNING, self._why(), fields)
            self._asking = zygote
        else:
            log_fields(logging.ERROR, "not enough memory, even for one generation", fields)
            zygote.channel.send({"what": "room"})

    def give(self) -> None:
        """There is as much as there will be."""
        assert self._asking is not None
        self._asking.channel.send({"what": "room"})
        self._asking = None

    def is_scarce(self, current: ZygoteProcess | None, workers: Sequence[WorkerProcess]) -> bool:
        """Whether another generation like the current one would hardly fit."""
        available = available_bytes()
        known = [current] if current is not None else []
        return available is not None and available < _held(known, workers)

    def _why(self) -> str:
        end = "ending the generation that serves, clients wait"
        if self._policy == "memory":
            return f"reload policy 'memory': {end}"
        return f"not enough memory for two generations: {end}"


def _held(zygotes: Sequence[ZygoteProcess], workers: Sequence[WorkerProcess]) -> int:
    """What generations hold together, in bytes; the models in processes of their own, too."""
    pids = [zygote.pid for zygote in zygotes if zygote.is_alive]
    pids += [worker.pid for worker in workers if worker.zygote in zygotes and worker.pid]
    for keeper in [zygote.keeper for zygote in zygotes if zygote.keeper]:
        pids += [keeper, *descendants_of(keeper)]
    return sum(memory_of(pid).proportional for pid in pids)
