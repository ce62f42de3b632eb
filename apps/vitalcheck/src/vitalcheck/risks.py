"""From a body to the parts of a risk answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

from loadonce import Classifier, Handle

from .advice import recommendations
from .answers import Contributor
from .cards import Card, Cards
from .deps import timed
from .schemas import Profile
from .scoring import assess, contributors, risk_level
from .shapley import Case, Outcome, rows_needed

M = TypeVar("M")
R = TypeVar("R")

_ROWS_IN_COMPANY: Final = 2048
_LARGEST: Final = 1e9
"""Incomes have no upper bound, and trees count in 32 bits: more than a billion counts as that."""


@dataclass(frozen=True, slots=True)
class RiskAnswer:
    """The fields of a `Risk` (those to leave out are absent) and the time the model took."""

    data: dict[str, Any]
    ms: float


async def risk_of(
    handle: Handle[Classifier], cards: Handle[Cards], body: Profile, is_explained: bool
) -> RiskAnswer:
    """Ask the model about one row, together with whoever asks at the same time."""
    card = cards.value[handle.name]
    answer = await timed(ask(handle, assess, case_of(card, body, is_explained)))
    explained = explanation(card, body, answer.result)
    level = risk_level(answer.result.prediction, card.levels)
    shown: list[Contributor] = explained.get("contributors", [])
    return RiskAnswer(
        {
            "probability": answer.result.prediction,
            "risk_level": level,
            **explained,
            "recommendations": recommendations(level, shown),
        },
        answer.ms,
    )


async def ask(
    handle: Handle[M], function: Callable[[M, Sequence[Case]], Sequence[R]], case: Case
) -> R:
    """Ask a model about one case: together with whoever asks at the same time, or alone where the
    explanation takes so many rows that company would only make everyone wait."""
    if rows_needed(case) > _ROWS_IN_COMPANY:
        return (await handle.run(function, [case]))[0]
    return await handle.batch(function, case)


def case_of(card: Card, body: Profile, is_explained: bool) -> Case:
    """The body as a row of its model, to explain against the card's reference or not at all."""
    (row,) = card.table.encode([body.row()])
    return Case(np.minimum(row, _LARGEST), card.reference if is_explained else None)


def explanation(card: Card, body: Profile, outcome: Outcome) -> dict[str, Any]:
    """The fields of an `Explained`; empty where no explanation was asked for."""
    if outcome.effects is None:
        return {}
    shown = contributors(card.table, body.row(), outcome.effects)
    return {"baseline": outcome.baseline, "contributors": shown}
