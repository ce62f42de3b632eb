"""Hanging: models that answer nobody any more, although the event loop of their process runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from loadonce.lifecycle.registry import Registry


@dataclass(frozen=True, slots=True)
class Hung:
    """A model of whose threads each is in a call beyond its deadline.

    Attributes:
        model: its name.
        seconds: since the last of these calls should have ended.
    """

    model: str
    seconds: float


def hung_model(known: Iterable[Registry], patience: float) -> Hung | None:
    """The model that has hung longest, if for longer than `patience` seconds."""
    engines = [model.slot.engine for registry in known for model in registry]
    hung = [Hung(engine.name, engine.hung_seconds) for engine in engines if engine is not None]
    longest = max(hung, key=lambda each: each.seconds, default=None)
    return longest if longest is not None and longest.seconds > patience else None
