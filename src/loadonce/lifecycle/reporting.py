"""Reports: what each process that serves says of itself, and the sums over all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from loadonce.observe.statistics import StatisticsSnapshot

from .model import Model, ModelStatus
from .registry import Registry
from .version import State


@dataclass(frozen=True, slots=True)
class Former:
    """What processes that have ended had counted.

    Attributes:
        requests: by the number of the worker.
        models: by name; nothing of them waits or runs.
    """

    requests: dict[int, int] = field(default_factory=dict)
    models: dict[str, StatisticsSnapshot] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """One process that serves, at one moment.

    Attributes:
        worker: its number; 1 where it serves alone.
        pid: its process id.
        started: when, in seconds since 1970.
        restarts: how many processes had this number before.
        requests: it has answered.
        models: by the names that `/readyz` shows.
        former: what the processes had counted whose place it took.
    """

    worker: int
    pid: int
    started: float
    restarts: int
    requests: int
    models: dict[str, ModelStatus]
    former: Former = field(default_factory=Former)

    def legacy(self) -> Former:
        """What stays of it when it has ended: all that was counted."""
        return sum_of([self.former, Former({self.worker: self.requests}, _counted(self.models))])

    def as_json(self) -> bytes:
        """For another process."""
        return json.dumps(self, default=_as_dict).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Report:
        """What `as_json` wrote."""
        found = json.loads(text)
        ended = found.pop("former")
        former = Former(
            _by_number(ended["requests"]),
            {name: _snapshot(each) for name, each in ended["models"].items()},
        )
        models = {name: _status(each) for name, each in found.pop("models").items()}
        return cls(**found, models=models, former=former)


@dataclass(frozen=True, slots=True)
class Overview:
    """All processes of a server.

    Attributes:
        reports: of those that serve.
        former: of those that have ended.
    """

    reports: Sequence[Report]
    former: Sequence[Former] = ()

    def owners(self) -> set[tuple[str, int]]:
        """The processes that have a model for all others: its name, and which process that is."""
        return {
            (name, status.owner)
            for report in self.reports
            for name, status in report.models.items()
            if status.owner
        }

    def counted(self) -> Former:
        """Everything counted since the server started; no figure ever falls."""
        return sum_of([*self.former, *(report.legacy() for report in self.reports)])


def statuses(known: Iterable[Registry]) -> dict[str, ModelStatus]:
    """Each model by its name; names that two registries share are told apart by registry."""
    return {name: model.status() for name, model in models_by_name(known).items()}


def models_by_name(known: Iterable[Registry]) -> dict[str, Model[Any]]:
    """Each model by its name, as `statuses` has them."""
    found: dict[str, Model[Any]] = {}
    for registry in known:
        for model in registry:
            found[unique_name(type(registry).__name__, model.name, found)] = model
    return found


def unique_name(registry: str, name: str, known: Iterable[str]) -> str:
    """The name of a model, its registry before it if `known` has it already."""
    taken = set(known)
    key, number = name, 1
    while key in taken:
        number += 1
        key = f"{registry}.{name}" + (f"#{number}" if number > 2 else "")
    return key


def sum_of(several: Iterable[Former]) -> Former:
    """Counters of the same worker, and of the same model, added."""
    total = Former()
    for each in several:
        for number, count in each.requests.items():
            total.requests[number] = total.requests.get(number, 0) + count
        for name, snapshot in each.models.items():
            known = total.models.get(name)
            total.models[name] = snapshot if known is None else known.plus(snapshot)
    return total


def _counted(models: dict[str, ModelStatus]) -> dict[str, StatisticsSnapshot]:
    return {name: status.statistics.counters() for name, status in models.items()}


def _as_dict(value: Any) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _status(found: dict[str, Any]) -> ModelStatus:
    state = State(found.pop("state"))
    statistics = _snapshot(found.pop("statistics"))
    return ModelStatus(**found, state=state, statistics=statistics)


def _snapshot(found: dict[str, Any]) -> StatisticsSnapshot:
    placements = {name: _by_number(each) for name, each in found.pop("placements").items()}
    sizes = _by_number(found.pop("batch_sizes"))
    return StatisticsSnapshot(**found, batch_sizes=sizes, placements=placements)


def _by_number(found: dict[str, Any]) -> dict[int, Any]:
    return {int(number): each for number, each in found.items()}
