"""Reference tables: aggregates only, small cells suppressed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from vitalcheck.training import fitbit, hospital
from vitalcheck.training.evaluation import SMALLEST_CELL

SHIPPED = Path(__file__).parents[2] / "src" / "vitalcheck" / "artifacts"


def ignore(stage: str, fraction: float) -> None:
    assert stage
    assert 0 <= fraction <= 1


def test_groups_of_fewer_than_eleven_people_are_left_out(made_up: Path) -> None:
    """Of 30 people 20 are men, 9 women: women have no percentiles, nor have the few young men."""
    rows = pd.DataFrame(
        fitbit.percentile_rows(fitbit.read_days(made_up)), columns=fitbit.SCHEMA.names
    )
    groups = set(zip(rows["sex"], rows["age_band"], strict=True))
    assert groups == {("all", "all"), ("all", ">=30"), ("male", "all"), ("male", ">=30")}
    assert rows["people"].min() >= SMALLEST_CELL
    assert rows["days"].min() >= SMALLEST_CELL
    for _, cell in rows.groupby(["sex", "age_band", "metric"]):
        assert cell["percentile"].tolist() == list(range(1, 100))
        assert cell["value"].is_monotonic_increasing


def test_a_day_without_steps_was_not_worn(made_up: Path) -> None:
    """0 or no steps take calories and active minutes with them; sleep and pulse stay."""
    raw = pd.read_csv(made_up / "fitbit/lifesnaps_daily_fitbit_sema.csv.gz")
    days = fitbit.read_days(made_up)
    idle = ~(raw["steps"] > 0)
    assert (raw["steps"] == 0).any()
    assert raw["steps"].isna().any()
    assert days.loc[idle, ["steps", "calories", "active_minutes"]].isna().all(axis=None)
    assert days.loc[idle, "resting_heart_rate"].notna().all()
    assert days.loc[~idle, "steps"].notna().all()


def test_departments_with_few_stays_are_left_out(made_up: Path, tmp_path: Path) -> None:
    """ "?" and PhysicianNotFound are Unknown; Speech has 10 stays; nobody came back to Urology."""
    facts = hospital.train_hospital(made_up, tmp_path, report=ignore)
    table = pyarrow.parquet.read_table(tmp_path / "hospital_departments.parquet")
    assert table.schema == hospital.DEPARTMENTS
    rows = {row["department"]: row for row in table.to_pylist()}
    assert list(rows) == ["Cardiology", "Unknown", "Urology"]
    assert rows["Unknown"]["stays"] == 110
    assert rows["Cardiology"]["readmitted_30d"] == pytest.approx(30 / 120)
    assert rows["Urology"]["readmitted_30d"] is None
    assert 1 <= rows["Urology"]["median_days"] <= rows["Urology"]["p90_days"] <= 14
    assert facts["left_out"] == {"departments_below_11_stays": 1, "conditions_below_11_stays": 1}


def test_conditions_count_a_very_long_stay_as_120_days(made_up: Path, tmp_path: Path) -> None:
    """Eleven stays are shown, ten are not."""
    hospital.train_hospital(made_up, tmp_path, report=ignore)
    table = pyarrow.parquet.read_table(tmp_path / "hospital_conditions.parquet")
    assert table.schema == hospital.CONDITIONS
    rows = {row["condition"]: row for row in table.to_pylist()}
    assert list(rows) == ["Heart", "Lung"]
    assert rows["Lung"]["mean_days"] == pytest.approx((120 + 10 * 2) / 11, abs=0.01)


def test_the_fitness_table_is_the_same_every_time(made_up: Path, tmp_path: Path) -> None:
    """The same data gives the same bytes."""
    fitbit.train_fitbit(made_up, tmp_path, report=ignore)
    first = (tmp_path / fitbit.FILE_NAME).read_bytes()
    facts = fitbit.train_fitbit(made_up, tmp_path, seed=5, report=ignore)
    assert (tmp_path / fitbit.FILE_NAME).read_bytes() == first
    table = pyarrow.parquet.read_table(io.BytesIO(first))
    assert table.schema == fitbit.SCHEMA
    assert table.num_rows == facts["table_rows"]


def test_the_shipped_tables_hold_no_small_cells() -> None:
    """What is in the package is suppressed as well, and nothing in it is a person."""
    days = pyarrow.parquet.read_table(SHIPPED / fitbit.FILE_NAME).to_pandas()
    assert days[["days", "people"]].min().min() >= SMALLEST_CELL
    for name in ("departments", "conditions"):
        stays = pyarrow.parquet.read_table(SHIPPED / f"hospital_{name}.parquet").to_pandas()
        assert stays["stays"].min() >= SMALLEST_CELL
        assert np.isfinite(stays.select_dtypes("number").fillna(0)).all(axis=None)
