"""Expectations: what others serve, a process that comes serves from its start on.

Models that load in the background, or when they are first asked for, are missing for a while after
a start. Who replaces a process that has them loads them first, so that no client misses them.
"""

from __future__ import annotations

from collections.abc import Iterable

from loadonce.lifecycle.reporting import models_by_name
from loadonce.observe.events import ModelEvent
from loadonce.server.board.journal import known_registries
from loadonce.system.channel import Channel

from .child_processes import WorkerProcess


def expected_of(workers: Iterable[WorkerProcess]) -> list[str]:
    """The models that load late and that some of these serve."""
    serving = [worker.late for worker in workers if worker.ready_at and not worker.is_leaving]
    return sorted(set().union(*serving))


def expect(names: Iterable[str]) -> None:
    """Load these models of this process before it serves, whatever is declared. A newer version of
    the app may lack some."""
    models = models_by_name(known_registries())
    for name in models.keys() & set(names):
        models[name].slot.is_expected = True


def tell_late(channel: Channel) -> None:
    """Tell the supervisor, each time that it changes, which models that load late are served."""
    models = models_by_name(known_registries())
    late = {name: each for name, each in models.items() if each.slot.declaration.when != "startup"}
    told: list[str] = []

    def tell(_event: ModelEvent) -> None:
        served = [name for name, each in late.items() if each.slot.current is not None]
        if served != told:
            told[:] = served
            channel.send({"what": "late", "models": served})

    for registry in known_registries() if late else ():
        registry.events.subscribe(tell)
