"""The fitness reference table: percentiles of LifeSnaps days by sex and age band."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow

from vitalcheck.training.artifacts import Facts, Report, save_table
from vitalcheck.training.data import LIFESNAPS
from vitalcheck.training.evaluation import SMALLEST_CELL

METRICS = ("steps", "calories", "minutes_asleep", "resting_heart_rate", "active_minutes")
EVERYONE = "all"
SEXES = (EVERYONE, "male", "female")
AGE_BANDS = (EVERYONE, "<30", ">=30")
POINTS = tuple(range(1, 100))
FILE_NAME = "fitbit_percentiles.parquet"

SCHEMA = pyarrow.schema(
    [
        ("sex", pyarrow.string()),
        ("age_band", pyarrow.string()),
        ("metric", pyarrow.string()),
        ("percentile", pyarrow.int16()),
        ("value", pyarrow.float64()),
        ("days", pyarrow.int32()),
        ("people", pyarrow.int32()),
    ]
)
"""One row per group, metric and percentile point (1 to 99); `days` and `people` are the group's
days and people with that metric."""


def train_fitbit(
    data: Path, out: Path, *, seed: int = 0, report: Report, quick: bool = False
) -> Facts:
    """Write `out/fitbit_percentiles.parquet` and return the facts for its card."""
    report("reading", 0.0)
    days = read_days(data)
    report("counting", 0.5)
    rows = list(percentile_rows(days))
    names = SCHEMA.names
    save_table({n: [row[i] for row in rows] for i, n in enumerate(names)}, SCHEMA, out / FILE_NAME)
    report("done", 1.0)
    return {
        "rows": len(days),
        "people": int(days["id"].nunique()),
        "table_rows": len(rows),
        "columns": {field.name: str(field.type) for field in SCHEMA},
        "validation": "none: a table of counts and percentiles, not a model",
        "groups": sorted({f"sex={row[0]}, age={row[1]}" for row in rows}),
    }


def read_days(data: Path) -> pd.DataFrame:
    """One row per person and day: id, sex, age_band (None where unknown) and the five metrics.

    No or 0 steps mean the watch was not worn (there is then no heart rate either, and what stands
    for calories is the basal rate): such a day has no steps, calories or active minutes.
    """
    raw = pd.read_csv(data / LIFESNAPS)
    active = ("lightly_active_minutes", "moderately_active_minutes", "very_active_minutes")
    days = pd.DataFrame(
        {
            "id": raw["id"],
            "sex": raw["gender"].map({"MALE": "male", "FEMALE": "female"}),
            "age_band": raw["age"].where(raw["age"].isin(AGE_BANDS)),
            "steps": raw["steps"],
            "calories": raw["calories"],
            "minutes_asleep": raw["minutesAsleep"],
            "resting_heart_rate": raw["resting_hr"],
            "active_minutes": raw[list(active)].sum(axis=1, skipna=False),
        }
    )
    not_worn = ~(days["steps"] > 0)
    days.loc[not_worn, ["steps", "calories", "active_minutes"]] = np.nan
    for metric in ("minutes_asleep", "resting_heart_rate"):
        days.loc[days[metric] <= 0, metric] = np.nan
    return days


def percentile_rows(days: pd.DataFrame) -> Iterator[tuple[str, str, str, int, float, int, int]]:
    """The table's rows; a group with fewer than 11 people or days for a metric has none."""
    for sex in SEXES:
        for band in AGE_BANDS:
            group = days
            if sex != EVERYONE:
                group = group[group["sex"] == sex]
            if band != EVERYONE:
                group = group[group["age_band"] == band]
            for metric in METRICS:
                known = group[group[metric].notna()]
                people = int(known["id"].nunique())
                if min(people, len(known)) < SMALLEST_CELL:
                    continue
                values = np.percentile(known[metric], POINTS)
                for point, value in zip(POINTS, values.tolist(), strict=True):
                    yield sex, band, metric, point, round(value, 1), len(known), people
