"""Model cards, as far as answers need them: reference row, levels, conformal amounts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from .features import FEATURES, FeatureSet, FloatArray
from .scoring import BOUNDS, LEVELS

ARTIFACTS: Final = (
    "diabetes",
    "heart",
    "stroke",
    "breast_cancer",
    "sleep",
    "life_expectancy",
    "insurance",
    "brain_tumor",
    "fitbit_percentiles",
    "hospital_analytics",
)
"""Everything that has a card."""


@dataclass(frozen=True, slots=True)
class Card:
    """One model card.

    Attributes:
        document: the whole card, as the API shows it.
        table: the model's inputs.
        reference: the encoded row (features,) that explanations compare with.
        levels: the probabilities at which moderate, high and critical begin.
        below, above: how far a conformal interval goes beyond on either side, in US$ or years.
    """

    document: Mapping[str, Any]
    table: FeatureSet = field(default_factory=lambda: FeatureSet("", ()))
    reference: FloatArray = field(default_factory=lambda: np.empty(0))
    levels: tuple[float, ...] = BOUNDS
    below: float = 0.0
    above: float = 0.0


Cards: TypeAlias = Mapping[str, Card]


def read_card(name: str, document: Mapping[str, Any]) -> Card:
    """What `name`'s card says, with everything answers need converted once."""
    table = FEATURES.get(name)
    if table is None or "reference" not in document:
        return Card(document)
    (reference,) = table.encode([document["reference"]])
    conformal = document.get("conformal", {})
    levels = document.get("risk_levels", {})
    return Card(
        document,
        table,
        reference,
        tuple(levels.get(name, bound) for name, bound in zip(LEVELS[1:], BOUNDS, strict=True)),
        float(conformal.get("below_usd", conformal.get("half_width_years", 0.0))),
        float(conformal.get("above_usd", conformal.get("half_width_years", 0.0))),
    )


def open_cards(files: Mapping[str, Mapping[str, Any]]) -> Iterator[Cards]:
    """Every card, read once."""
    yield {name: read_card(name, document) for name, document in files.items()}
