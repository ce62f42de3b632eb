"""A made-up data directory with the columns of the real one, small enough to train on fast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vitalcheck.training import data as reading

_LEVELS = np.arange(1.0, 6.0)
_DIAGNOSES = [
    "hibpdx", "chddx", "angidx", "midx", "ohrtdx", "emphdx", "choldx", "cancerdx", "diabdx",
    "arthdx", "asthdx",
]  # fmt: skip


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every table training reads, 150 to 900 invented rows each; no pictures."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(7)
    tables = {
        reading.PIMA: _pima(random),
        reading.HEART: _heart(random),
        reading.MEPS: _meps(random),
        reading.NHANES: _nhanes(random),
        reading.WHO: _who(random),
        reading.LIFESNAPS: _lifesnaps(random),
        reading.HOSPITALS: _hospitals(random),
        reading.SPARCS: _sparcs(random),
        reading.BREAST_CANCER: pd.DataFrame({"row": np.arange(0, 569, 3)}),
    }
    for name, table in tables.items():
        (root / name).parent.mkdir(exist_ok=True)
        table.to_csv(root / name, index=False)
    return root


def _outcome(random: np.random.Generator, score: np.ndarray) -> np.ndarray:
    centred = (score - score.mean()) / score.std()
    positive: np.ndarray = np.less(random.random(len(score)), 1 / (1 + np.exp(-2 * centred)))
    return positive.astype(int)


def _pima(random: np.random.Generator, rows: int = 200) -> pd.DataFrame:
    glucose = random.normal(120, 30, rows).round()
    insulin = np.where(random.random(rows) < 0.4, 0, random.integers(20, 300, rows))
    return pd.DataFrame(
        {
            "Pregnancies": random.integers(0, 10, rows),
            "Glucose": glucose,
            "BloodPressure": random.integers(50, 100, rows),
            "SkinThickness": random.integers(10, 50, rows),
            "Insulin": insulin,
            "BMI": random.normal(32, 6, rows).round(1),
            "DiabetesPedigreeFunction": random.uniform(0.1, 1.5, rows).round(3),
            "Age": random.integers(21, 70, rows),
            "Outcome": _outcome(random, glucose),
        }
    )


def _heart(random: np.random.Generator, rows: int = 240) -> pd.DataFrame:
    pain = random.integers(1, 5, rows).astype(float)
    site = np.resize(["cleveland", "hungarian", "switzerland", "va"], rows)
    elsewhere = site != "cleveland"
    return pd.DataFrame(
        {
            "site": site,
            "age": random.integers(30, 77, rows).astype(float),
            "sex": random.integers(0, 2, rows).astype(float),
            "cp": pain,
            "trestbps": random.integers(95, 180, rows).astype(float),
            "chol": np.where(site == "switzerland", 0.0, random.integers(150, 350, rows)),
            "fbs": random.integers(0, 2, rows).astype(float),
            "restecg": random.integers(0, 3, rows).astype(float),
            "thalach": random.integers(90, 190, rows).astype(float),
            "exang": random.integers(0, 2, rows).astype(float),
            "oldpeak": random.uniform(0, 4, rows).round(1),
            "slope": random.integers(1, 4, rows).astype(float),
            "ca": np.where(elsewhere, np.nan, random.integers(0, 4, rows)),
            "thal": np.where(elsewhere, np.nan, random.choice([3.0, 6.0, 7.0], rows)),
            "num": _outcome(random, pain) * random.integers(1, 5, rows),
        }
    )


def _meps(random: np.random.Generator, rows: int = 900) -> pd.DataFrame:
    age = random.integers(5, 86, rows)
    sick = {
        name: np.where(random.random(rows) < 0.02, -8, 2 - _outcome(random, age.astype(float)))
        for name in _DIAGNOSES
    }
    return pd.DataFrame(
        {
            "duid": np.arange(rows) // 2,
            "age15x": age,
            "sex": random.integers(1, 3, rows),
            "educyr": np.where(random.random(rows) < 0.4, -1, random.integers(0, 18, rows)),
            "faminc15": random.normal(50_000, 30_000, rows).round(),
            "rthlth53": random.choice(_LEVELS, rows),
            "mnhlth53": random.choice(_LEVELS, rows),
            **sick,
            "strkdx": 2 - _outcome(random, age + 0.0),
            "inscov15": random.integers(1, 4, rows),
            "totexp15": np.maximum(random.gamma(0.5, 40.0 * age) - 50, 0).round(),
            "perwt15f": np.where(random.random(rows) < 0.05, 0, random.uniform(500, 9000, rows)),
        }
    )


def _nhanes(random: np.random.Generator, rows: int = 400) -> pd.DataFrame:
    bad_days = random.integers(0, 31, rows)
    smoked = random.choice(["No", "Yes"], rows)
    return pd.DataFrame(
        {
            "Gender": random.choice(["male", "female"], rows),
            "Age": random.integers(16, 81, rows),
            "BMI": random.normal(28, 5, rows).round(2),
            "Pulse": random.integers(45, 110, rows),
            "BPSysAve": random.integers(90, 180, rows),
            "HealthGen": random.choice(["Excellent", "Vgood", "Good", "Fair", "Poor"], rows),
            "DaysPhysHlthBad": random.integers(0, 31, rows),
            "DaysMentHlthBad": bad_days,
            "Depressed": random.choice(["None", "Several", "Most", ""], rows),
            "PhysActive": random.choice(["Yes", "No"], rows),
            "AlcoholDay": random.choice([1, 2, 5, 82], rows),
            "SmokeNow": np.where(smoked == "Yes", random.choice(["No", "Yes"], rows), ""),
            "Smoke100": smoked,
            "SleepHrsNight": random.integers(4, 11, rows),
            "SleepTrouble": np.where(_outcome(random, bad_days.astype(float)) == 1, "Yes", "No"),
            "WTINT2YR": random.uniform(4000, 90_000, rows),
        }
    )


def _who(random: np.random.Generator, countries: int = 30, years: int = 8) -> pd.DataFrame:
    rows = countries * years
    country = np.repeat(np.arange(countries), years)
    wealth = np.repeat(random.uniform(0, 1, countries), years)

    def percent() -> np.ndarray:
        return np.clip(40 + 60 * wealth + random.normal(0, 5, rows), 1, 99).round()

    return pd.DataFrame(
        {
            "country_code": [f"C{number:02d}" for number in country],
            "region": np.resize(["Africa", "Europe", "Americas"], countries)[country],
            "year": 2000 + np.tile(np.arange(years), countries),
            "life_expect": 50 + 30 * wealth + random.normal(0, 1, rows),
            "alcohol": random.uniform(0, 12, rows),
            "bmi": 20 + 7 * wealth,
            "age5-19thinness": random.uniform(0.5, 20, rows),
            "age5-19obesity": random.uniform(0.5, 20, rows),
            "hepatitis": np.where(random.random(rows) < 0.2, np.nan, percent()),
            "measles": percent(),
            "polio": percent(),
            "diphtheria": percent(),
            "basic_water": percent(),
            "gni_capita": np.where(random.random(rows) < 0.2, np.nan, 500 + 60_000 * wealth),
            "une_gni": 500 + 60_000 * wealth,
            "che_gdp": random.uniform(2, 12, rows),
            "gghe-d": random.uniform(1, 8, rows),
            "une_school": np.where(random.random(rows) < 0.6, np.nan, 2 + 11 * wealth),
            "une_hiv": random.uniform(0.1, 5, rows),
        }
    )


def _lifesnaps(random: np.random.Generator, people: int = 30, days: int = 12) -> pd.DataFrame:
    rows = people * days
    person = np.repeat(np.arange(people), days)
    return pd.DataFrame(
        {
            "id": [f"p{number}" for number in person],
            "gender": np.where(person < 20, "MALE", np.where(person < 29, "FEMALE", "")),
            "age": np.where(person % 4 == 0, "<30", ">=30"),
            "steps": np.where(
                random.random(rows) < 0.2,
                random.choice([0, np.nan], rows),
                random.integers(500, 20_000, rows),
            ),
            "calories": random.integers(1500, 3500, rows),
            "minutesAsleep": np.where(random.random(rows) < 0.5, np.nan, 400.0),
            "resting_hr": random.integers(50, 80, rows),
            "lightly_active_minutes": random.integers(50, 250, rows),
            "moderately_active_minutes": random.integers(0, 60, rows),
            "very_active_minutes": random.integers(0, 60, rows),
        }
    )


def _hospitals(random: np.random.Generator, rows: int = 300) -> pd.DataFrame:
    names = ["Cardiology"] * 120 + ["?"] * 100 + ["Urology"] * 60 + ["Speech"] * 10
    names += ["PhysicianNotFound"] * 10
    return pd.DataFrame(
        {
            "medical_specialty": names,
            "time_in_hospital": random.integers(1, 15, rows),
            "readmitted": ["<30", "NO", ">30", "NO"] * 30 + ["NO", "<30"] * 50 + ["NO"] * 80,
        }
    )


def _sparcs(random: np.random.Generator) -> pd.DataFrame:
    names = ["Heart"] * 40 + ["Lung"] * 11 + ["Rare"] * 10
    days = random.integers(1, 20, len(names)).astype(str)
    days[40:51] = "2"
    days[40] = "120 +"
    return pd.DataFrame(
        {
            "APR MDC Description": names,
            "Length of Stay": days,
            "Total Costs": random.uniform(1000, 50_000, len(names)).round(2),
        }
    )
