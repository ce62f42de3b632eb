"""What loadonce sets out to show: ratios within rounds, beside what they should reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from .figures import Figure, figure, ratios
from .state import Record, State

Read = Callable[[Record], float | None]
Verdict = Literal["aim", "reach", "short", "not measured"]

_OURS: Final = (("plain route", "loadonce-converted"), ("direct route", "loadonce-direct"))
_UNCONVERTED: Final = (("one process", "loadonce-joblib"), ("owner process", "loadonce-process"))
_ECHO: Final = ("pipeline", "fastapi-echo")


@dataclass(frozen=True, slots=True)
class Goal:
    """One line: a ratio, or a quantity where `against` is None.

    Attributes:
        reach, aim: what should be reached, what is hoped for.
        is_ceiling: smaller is better.
        unit: "x" for ratios.
    """

    text: str
    of: tuple[str, str]
    read: Read
    against: tuple[str, str] | None
    reach: float
    aim: float
    is_ceiling: bool = False
    unit: str = "x"

    def measure(self, state: State) -> Figure | None:
        """The median and range over the rounds; None where a part is missing."""
        values = _values(state, self.of, self.read)
        if self.against is None:
            return figure(values.values())
        return figure(ratios(values, _values(state, self.against, self.read)))

    def verdict(self, found: Figure | None) -> Verdict:
        """How the median stands to what was set."""
        if found is None:
            return "not measured"
        for name, bound in (("aim", self.aim), ("reach", self.reach)):
            if found.median <= bound if self.is_ceiling else found.median >= bound:
                return "aim" if name == "aim" else "reach"
        return "short"


def _values(state: State, pair: tuple[str, str], read: Read) -> dict[int, float]:
    found = {number: read(record) for number, record in state.rounds_of(*pair).items()}
    return {number: value for number, value in found.items() if value is not None}


def load(concurrency: int, field: str = "per_second") -> Read:
    """A figure of the load with so many clients."""

    def read(record: Record) -> float | None:
        found: float | None = record.get("loads", {}).get(str(concurrency), {}).get(field)
        return found

    return read


def tail(concurrency: int) -> Read:
    """p99 / p50 with so many clients."""

    def read(record: Record) -> float | None:
        high, low = load(concurrency, "p99")(record), load(concurrency, "p50")(record)
        return high / low if high is not None and low else None

    return read


def livez(record: Record) -> float | None:
    """p99 of the liveness route while the model is saturated, in milliseconds."""
    found: float | None = record.get("liveness", {}).get("p99")
    return found


def plain(name: str) -> Read:
    """A number of the record itself."""
    return lambda record: record.get(name)


def goals() -> Iterable[Goal]:
    """All lines, in the order of the table."""
    yield from _against_the_echo()
    yield from _against_the_tutorial()
    yield from _against_litserve()
    yield from _latencies()
    for place, contender in _UNCONVERTED:
        text = f"`/livez` p99 while the unconverted forest is saturated, 64 clients: {place}"
        yield Goal(text, ("forest", contender), livez, None, 25, 5, is_ceiling=True, unit="ms")
    ours = ("vitalcheck", "loadonce-vitalcheck")
    text = "start to first prediction: VitalCheck / FastAPI's echo"
    yield Goal(text, ours, plain("start_seconds"), _ECHO, 2, 1.3, is_ceiling=True)
    text = "memory: VitalCheck / the tutorial's app with the same models"
    theirs = ("vitalcheck", "tutorial-vitalcheck")
    yield Goal(text, ours, plain("loaded_bytes"), theirs, 0.6, 0.4, is_ceiling=True)


def _against_the_echo() -> Iterable[Goal]:
    for (route, contender), reach in zip(_OURS, (0.85, 1.0), strict=True):
        for workload in ("pipeline", "forest"):
            for clients in (16, 64):
                text = f"{workload}, {clients} clients: {route} / FastAPI's echo"
                yield Goal(text, (workload, contender), load(clients), _ECHO, reach, 2)


def _against_the_tutorial() -> Iterable[Goal]:
    for workload, reach, aim in (("pipeline", 15, 30), ("forest", 50, 150)):
        for route, contender in _OURS:
            text = f"{workload}, 64 clients: {route} / the tutorial's FastAPI"
            theirs = (workload, "fastapi-async")
            yield Goal(text, (workload, contender), load(64), theirs, reach, aim)


def _against_litserve() -> Iterable[Goal]:
    for workload in ("pipeline", "forest"):
        theirs = (workload, "litserve-batched")
        for route, contender in _OURS:
            text = f"{workload}, 64 clients: {route} / LitServe with batching"
            yield Goal(text, (workload, contender), load(64), theirs, 3, 8)
    for place, contender in _UNCONVERTED:
        text = f"forest, 64 clients: unconverted, {place} / LitServe with batching"
        yield Goal(text, ("forest", contender), load(64), theirs, 1.2, 2)


def _latencies() -> Iterable[Goal]:
    for workload in ("pipeline", "forest"):
        for route, contender in _OURS:
            of = (workload, contender)
            text = f"{workload}, a lonely client's p50: {route} / FastAPI's echo"
            yield Goal(text, of, load(1, "p50"), _ECHO, 1.25, 1.0, is_ceiling=True)
    for workload in ("pipeline", "forest"):
        for route, contender in _OURS:
            text = f"{workload}, 64 clients: p99 / p50, {route}"
            yield Goal(text, (workload, contender), tail(64), None, 2.5, 1.5, is_ceiling=True)
