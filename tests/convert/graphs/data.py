"""Small data with a bit of everything: numbers, texts, gaps, ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

ROWS = 120


def numbers(columns: int = 4, rows: int = ROWS, missing: float = 0.0, seed: int = 0) -> Any:
    """Doubles of different sizes; some are whole, some may lack."""
    generator = np.random.default_rng(seed)
    found = generator.normal(size=(rows, columns)) * [10.0 ** (i % 4 - 1) for i in range(columns)]
    found[:, 0] = np.round(found[:, 0], 1)
    found[generator.random(found.shape) < missing] = np.nan
    return found


def frame(rows: int = ROWS, missing: float = 0.1, seed: int = 0) -> Any:
    """Two numbers, two texts, a small whole number."""
    generator = np.random.default_rng(seed)
    found = pd.DataFrame(
        {
            "age": generator.normal(50, 12, rows).round(),
            "income": generator.lognormal(8, 1, rows),
            "city": generator.choice(
                ["Bern", "Basel", "Chur", "Genf"], rows, p=[0.5, 0.3, 0.1, 0.1]
            ),
            "plan": generator.choice(["a", "b"], rows),
            "visits": generator.integers(0, 4, rows).astype(float),
        }
    )
    found[["city", "plan"]] = found[["city", "plan"]].astype(object)
    gaps = generator.random(found.shape) < missing
    return found.mask(gaps)


def two(rows: int = ROWS, seed: int = 1) -> Any:
    """Two classes."""
    return np.random.default_rng(seed).integers(0, 2, rows)


def three(rows: int = ROWS, seed: int = 1) -> Any:
    """Three classes, named."""
    return np.random.default_rng(seed).choice(["high", "low", "mid"], rows)


def amounts(rows: int = ROWS, seed: int = 1) -> Any:
    """Positive doubles."""
    return np.random.default_rng(seed).gamma(2.0, 30.0, rows) + 0.1
