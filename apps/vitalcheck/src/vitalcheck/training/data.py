"""Reading: the public tables, recoded to the API's names and values.

Each reader takes the data directory and returns a `Dataset` whose columns are those of
`vitalcheck.features`. Values outside a feature's allowed range count as missing where the feature
may be missing: a request could not carry them either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from vitalcheck import features
from vitalcheck.features import Feature, FeatureSet, FloatArray

if TYPE_CHECKING:
    from sklearn.utils import Bunch

IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

PIMA = "diabetes/pima_diabetes.csv"
HEART = "heart/heart_uci_4sites.csv"
MEPS = "insurance/meps_2015_expenditure.csv.gz"
BREAST_CANCER = "breast_cancer/train_row_indices.csv"
NHANES = "sleep/nhanes_sleep_2009_2012.csv"
WHO = "life_expectancy/who_national_life_expectancy.csv"
LIFESNAPS = "fitbit/lifesnaps_daily_fitbit_sema.csv.gz"
HOSPITALS = "hospital/diabetic_data_130hospitals.csv.gz"
SPARCS = "hospital/sparcs_2016_random_sample.csv"

FILES: Mapping[str, tuple[str, ...]] = {
    "diabetes": (PIMA,),
    "heart": (HEART,),
    "stroke": (MEPS,),
    "breast_cancer": (BREAST_CANCER,),
    "sleep": (NHANES,),
    "life_expectancy": (WHO,),
    "insurance": (MEPS,),
    "brain_tumor": ("mri/manifest.csv",),
    "fitbit_percentiles": (LIFESNAPS,),
    "hospital_analytics": (HOSPITALS, SPARCS),
}
"""The files each artifact is made of, relative to the data directory."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows to train one model on.

    `inputs` is (rows, features) as `FeatureSet.encode` makes it; `target` is 0/1 or a quantity;
    rows of one `groups` value never lie on both sides of a split; `weights` are survey weights
    with mean 1 (all ones where there are none).
    """

    features: FeatureSet
    inputs: FloatArray
    target: FloatArray
    groups: IntArray
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.target)

    def take(self, rows: IntArray) -> Dataset:
        """Only these rows."""
        return Dataset(
            self.features,
            self.inputs[rows],
            self.target[rows],
            self.groups[rows],
            self.weights[rows],
        )


def missing_files(data: Path, names: Sequence[str]) -> list[Path]:
    """The files that the artifacts `names` need and `data` lacks."""
    needed = dict.fromkeys(file for name in names for file in FILES[name])
    return [data / file for file in needed if not (data / file).is_file()]


def _dataset(
    table: FeatureSet,
    columns: pd.DataFrame,
    target: pd.Series[float],
    groups: pd.Series[str] | None = None,
    weights: pd.Series[float] | None = None,
) -> Dataset:
    inputs = columns[list(table.names)].to_numpy(dtype=np.float64, copy=True)
    for column, feature in enumerate(table.features):
        _blank_impossible(feature, inputs[:, column])
    numbers = np.arange(len(target)) if groups is None else pd.factorize(groups)[0]
    return Dataset(
        table,
        inputs,
        np.asarray(target, dtype=np.float64),
        numbers.astype(np.int64),
        _mean_one(weights, len(target)),
    )


def _blank_impossible(feature: Feature, values: FloatArray) -> None:
    with np.errstate(invalid="ignore"):
        outside = (values < (-np.inf if feature.low is None else feature.low)) | (
            values > (np.inf if feature.high is None else feature.high)
        )
    if feature.optional:
        values[outside] = np.nan


def _mean_one(weights: pd.Series[float] | None, rows: int) -> FloatArray:
    if weights is None:
        return np.ones(rows)
    raw = np.asarray(weights, dtype=np.float64)
    return np.asarray(raw / raw.mean(), dtype=np.float64)


def _codes(
    feature: Feature, names: Mapping[int, str] | Mapping[str, str], raw: pd.Series
) -> pd.Series[float]:
    """A raw column -> the codes of the levels `names` says its values mean; others are missing."""
    coded = {value: feature.code(level) for value, level in names.items()}
    return raw.map(coded).astype(np.float64)


def diabetes(data: Path) -> Dataset:
    """Pima: 0 stands for missing in five columns."""
    raw = pd.read_csv(data / PIMA)
    columns = pd.DataFrame(
        {
            "pregnancies": raw["Pregnancies"],
            "glucose": raw["Glucose"],
            "blood_pressure": raw["BloodPressure"],
            "skin_thickness": raw["SkinThickness"],
            "insulin": raw["Insulin"],
            "bmi": raw["BMI"],
            "diabetes_pedigree": raw["DiabetesPedigreeFunction"],
            "age": raw["Age"],
        }
    )
    return _dataset(features.DIABETES, columns, raw["Outcome"])


def heart(data: Path) -> Dataset:
    """UCI, four sites joined; `site` is left out, identical rows are one group."""
    raw = pd.read_csv(data / HEART)
    table = features.HEART
    pain = {1: "typical_angina", 2: "atypical_angina", 3: "non_anginal", 4: "none"}
    ecg = {0: "normal", 1: "st_t_abnormality", 2: "lv_hypertrophy"}
    columns = pd.DataFrame(
        {
            "age": raw["age"],
            "sex": _codes(table["sex"], {1: "male", 0: "female"}, raw["sex"]),
            "chest_pain": _codes(table["chest_pain"], pain, raw["cp"]),
            "resting_bp": raw["trestbps"],
            "cholesterol": raw["chol"],
            "fasting_blood_sugar_high": raw["fbs"],
            "resting_ecg": _codes(table["resting_ecg"], ecg, raw["restecg"]),
            "max_heart_rate": raw["thalach"],
            "exercise_angina": raw["exang"],
            "st_depression": raw["oldpeak"],
            "st_slope": _codes(table["st_slope"], {1: "up", 2: "flat", 3: "down"}, raw["slope"]),
            "vessels": raw["ca"],
            "thalassemia": _codes(
                table["thalassemia"], {3: "normal", 6: "fixed", 7: "reversible"}, raw["thal"]
            ),
        }
    )
    copies = raw.groupby(list(raw.columns.drop("site")), dropna=False).ngroup()
    return _dataset(table, columns, (raw["num"] > 0).astype(float), copies.astype(str))


def heart_sites(data: Path) -> npt.NDArray[np.str_]:
    """The site of every row of `heart()`: only to judge the model at sites it never saw."""
    return pd.read_csv(data / HEART)["site"].to_numpy(dtype=str)


_DIAGNOSES = {
    "high_blood_pressure": "hibpdx",
    "coronary_heart_disease": "chddx",
    "angina": "angidx",
    "heart_attack": "midx",
    "other_heart_disease": "ohrtdx",
    "emphysema": "emphdx",
    "high_cholesterol": "choldx",
    "cancer": "cancerdx",
    "diabetes": "diabdx",
    "arthritis": "arthdx",
    "asthma": "asthdx",
    "stroke": "strkdx",
}


def _meps(data: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Adults in scope of the survey: the raw rows and their features (negative codes: missing)."""
    raw = pd.read_csv(data / MEPS)
    raw = raw[(raw["age15x"] >= 18) & (raw["perwt15f"] > 0)].reset_index(drop=True)
    table = features.INSURANCE
    columns = pd.DataFrame(
        {
            "age": raw["age15x"],
            "sex": _codes(table["sex"], {1: "male", 2: "female"}, raw["sex"]),
            "education_years": raw["educyr"],
            "family_income_usd": raw["faminc15"].clip(lower=0),
            "general_health": raw["rthlth53"],
            "mental_health": raw["mnhlth53"],
            "coverage": _codes(
                table["coverage"], {1: "private", 2: "public", 3: "none"}, raw["inscov15"]
            ),
            **{name: raw[code].map({1: 1.0, 2: 0.0}) for name, code in _DIAGNOSES.items()},
        }
    )
    return raw, columns


def stroke(data: Path) -> Dataset:
    """MEPS adults whose answer on stroke is known; a household is one group."""
    raw, columns = _meps(data)
    known = columns["stroke"].notna()
    raw, columns = raw[known], columns[known]
    return _dataset(
        features.STROKE, columns, columns["stroke"], raw["duid"].astype(str), raw["perwt15f"]
    )


def insurance(data: Path) -> Dataset:
    """MEPS adults, total spending in US$; a household is one group."""
    raw, columns = _meps(data)
    return _dataset(
        features.INSURANCE, columns, raw["totexp15"], raw["duid"].astype(str), raw["perwt15f"]
    )


def breast_cancer(data: Path) -> Dataset:
    """Wisconsin, from scikit-learn, only the rows listed for training; positive = malignant."""
    from sklearn.datasets import load_breast_cancer

    bundled = cast("Bunch", load_breast_cancer(as_frame=True))
    rows = pd.read_csv(data / BREAST_CANCER)["row"].to_numpy()
    columns = bundled.data.iloc[rows].rename(columns=lambda name: name.replace(" ", "_"))
    return _dataset(features.BREAST_CANCER, columns, (bundled.target.iloc[rows] == 0).astype(float))


def sleep(data: Path) -> Dataset:
    """NHANES 2009-2012, people of 16 and over; target SleepTrouble = Yes."""
    raw = pd.read_csv(data / NHANES, keep_default_na=False, na_values=[""])
    table = features.SLEEP
    never, now = raw["Smoke100"] == "No", raw["SmokeNow"]
    smoker = pd.Series(np.where(never, "never", now.map({"No": "former", "Yes": "current"})))
    low_mood = {"None": "none", "Several": "several", "Most": "most"}
    health = {
        "Excellent": "excellent",
        "Vgood": "very_good",
        "Good": "good",
        "Fair": "fair",
        "Poor": "poor",
    }
    columns = pd.DataFrame(
        {
            "age": raw["Age"],
            "sex": _codes(table["sex"], {"male": "male", "female": "female"}, raw["Gender"]),
            "bmi": raw["BMI"],
            "sleep_hours": raw["SleepHrsNight"],
            "resting_pulse": raw["Pulse"],
            "systolic_bp": raw["BPSysAve"],
            "physically_active": raw["PhysActive"].map({"No": 0.0, "Yes": 1.0}),
            "smoker": _codes(table["smoker"], {s: s for s in table["smoker"].levels}, smoker),
            "drinks_per_day": raw["AlcoholDay"],
            "bad_mental_health_days": raw["DaysMentHlthBad"],
            "bad_physical_health_days": raw["DaysPhysHlthBad"],
            "depressed": _codes(table["depressed"], low_mood, raw["Depressed"]),
            "general_health": _codes(table["general_health"], health, raw["HealthGen"]),
        }
    )
    target = (raw["SleepTrouble"] == "Yes").astype(float)
    return _dataset(table, columns, target, None, raw["WTINT2YR"])


def life_expectancy(data: Path) -> Dataset:
    """WHO 2000-2016 without the columns that are (nearly) the target; a country is one group."""
    raw = pd.read_csv(data / WHO)
    table = features.LIFE_EXPECTANCY
    columns = pd.DataFrame(
        {
            "year": raw["year"],
            "region": _codes(table["region"], {r: r for r in features.REGIONS}, raw["region"]),
            "alcohol": raw["alcohol"],
            "bmi": raw["bmi"],
            "thinness_pct": raw["age5-19thinness"],
            "obesity_pct": raw["age5-19obesity"],
            "hepatitis_pct": raw["hepatitis"],
            "measles_pct": raw["measles"],
            "polio_pct": raw["polio"],
            "diphtheria_pct": raw["diphtheria"],
            "basic_water_pct": raw["basic_water"],
            "gni_per_capita_ppp": raw["gni_capita"].fillna(raw["une_gni"]),
            "health_spending_gdp_pct": raw["che_gdp"],
            "government_health_spending_gdp_pct": raw["gghe-d"],
            "schooling_years": raw["une_school"],
            "hiv_pct": raw["une_hiv"],
        }
    )
    return _dataset(table, columns, raw["life_expect"], raw["country_code"])


READERS: Mapping[str, Callable[[Path], Dataset]] = {
    "diabetes": diabetes,
    "heart": heart,
    "stroke": stroke,
    "breast_cancer": breast_cancer,
    "sleep": sleep,
    "life_expectancy": life_expectancy,
    "insurance": insurance,
}
"""The reader of every model that learns from rows."""
