"""Decisions as pure functions of plain values: no clock, no I/O, no asyncio."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from loadonce.observe.memory import format_bytes

from .declaration import When
from .version import State


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the probes tell.

    Attributes:
        is_started: every model that counts has been ready once.
        is_ready: requests should be sent here.
        is_degraded: ready, but a model is missing.
        states: each model's state by name.
    """

    is_started: bool
    is_ready: bool
    is_degraded: bool
    states: dict[str, str]


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model, as far as readiness goes; `has_been_asked_for` matters for first use only."""

    name: str
    state: State
    required: bool
    when: When
    has_been_asked_for: bool

    @property
    def counts(self) -> bool:
        """Whether the app is not ready without it."""
        return self.required and (self.when != "first_use" or self.has_been_asked_for)


def readiness(models: Iterable[ModelState], *, is_running: bool, is_draining: bool) -> Readiness:
    """Derive what the probes tell from the states.

    Ready when running, not draining, and every required model serves; models for first use do not
    count before somebody asked for them. Degraded when ready although some model does not serve.
    """
    models = tuple(models)
    serves = {model.name: model.state is State.READY for model in models}
    is_started = is_running and all(serves[model.name] for model in models if model.counts)
    is_ready = is_started and not is_draining
    missing = [
        model
        for model in models
        if not serves[model.name] and (model.when != "first_use" or model.has_been_asked_for)
    ]
    return Readiness(
        is_started=is_started,
        is_ready=is_ready,
        is_degraded=is_ready and bool(missing),
        states={model.name: model.state.value for model in models},
    )


def back_off(failures: int, *, first: float = 1.0, most: float = 60.0) -> float:
    """Seconds to wait after the nth failure in a row: doubling, bounded."""
    return min(most, first * 2.0 ** min(failures - 1, 30))


def memory_refusal(needs: Iterable[tuple[str, int]], available: int | None) -> str:
    """Why these loads (name, estimated bytes) cannot fit together; "" if they can."""
    needs = sorted(needs, key=lambda need: -need[1])
    total = sum(size for _name, size in needs)
    if available is None or total <= available:
        return ""
    largest = ", ".join(f"{name} {format_bytes(size)}" for name, size in needs[:5] if size)
    return f"about {format_bytes(total)} needed ({largest}), {format_bytes(available)} available"
