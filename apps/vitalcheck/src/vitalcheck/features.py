"""Every model's inputs, defined once: schemas, training and model cards all read this table.

A *row* maps the API's field names to plain values (numbers, booleans, level names, None for not
known). `FeatureSet.encode` turns rows into the numeric array the pipelines take; nothing else
stands between a request and a model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Value: TypeAlias = float | int | bool | str | None
Row: TypeAlias = Mapping[str, Value]
FloatArray: TypeAlias = npt.NDArray[np.float64]
Kind: TypeAlias = Literal["number", "integer", "boolean", "choice"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of a model.

    `low` and `high` are inclusive bounds in `unit` (None: unbounded); `levels` are the values of a
    choice, in the order of their codes; `optional` inputs may be absent or None; `example` is a
    plausible value for forms and documentation.
    """

    name: str
    kind: Kind
    meaning: str
    example: Value
    unit: str = ""
    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] = ()
    optional: bool = False

    def code(self, value: Value) -> float:
        """`value` as a number: NaN for None, 0/1 for booleans, the index of a level.

        Raises ValueError, which never repeats the value, for one that is not in `levels`.
        """
        if value is None:
            return math.nan
        if not isinstance(value, str):
            return float(value)
        if value not in self.levels:
            raise ValueError(f"{self.name} must be one of: {', '.join(self.levels) or 'numbers'}")
        return float(self.levels.index(value))

    def decode(self, code: float) -> Value:
        """The value `code` stands for: the inverse of `code()`."""
        if math.isnan(code):
            return None
        if self.kind == "choice":
            return self.levels[int(code)]
        if self.kind == "boolean":
            return bool(code)
        return int(code) if self.kind == "integer" else float(code)


@dataclass(frozen=True)
class FeatureSet:
    """The inputs of one model, in the order of its columns."""

    model: str
    features: tuple[Feature, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Column number by feature name."""
        return {name: column for column, name in enumerate(self.names)}

    @cached_property
    def example(self) -> dict[str, Value]:
        """A plausible row: every feature's example."""
        return {feature.name: feature.example for feature in self.features}

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, name: str) -> Feature:
        return self.features[self.index[name]]

    def columns(self, *kinds: Kind) -> list[int]:
        """The column numbers of the features of these kinds."""
        return [column for column, item in enumerate(self.features) if item.kind in kinds]

    def encode(self, rows: Iterable[Row]) -> FloatArray:
        """Rows by name -> float64 array (rows, features). An absent name is missing (NaN).

        Names of no feature are ignored.
        """
        coded = [[item.code(row.get(item.name)) for item in self.features] for row in rows]
        return np.array(coded, dtype=np.float64).reshape(len(coded), len(self.features))

    def decode(self, codes: FloatArray) -> dict[str, Value]:
        """One encoded row (features,) -> values by name: the inverse of `encode`."""
        return {
            item.name: item.decode(code)
            for item, code in zip(self.features, codes.tolist(), strict=True)
        }


def _number(
    name: str,
    meaning: str,
    example: float,
    unit: str,
    low: float | None,
    high: float | None,
    *,
    optional: bool = False,
) -> Feature:
    return Feature(name, "number", meaning, example, unit, low, high, optional=optional)


def _maybe(
    name: str, meaning: str, example: float, unit: str, low: float | None, high: float | None
) -> Feature:
    return _number(name, meaning, example, unit, low, high, optional=True)


def _whole(
    name: str,
    meaning: str,
    example: int,
    unit: str,
    low: int,
    high: int,
    *,
    optional: bool = False,
) -> Feature:
    return Feature(name, "integer", meaning, example, unit, low, high, optional=optional)


def _choice(name: str, meaning: str, example: str, *levels: str, optional: bool = False) -> Feature:
    return Feature(name, "choice", meaning, example, levels=levels, optional=optional)


def _flag(name: str, meaning: str, example: bool | None = False) -> Feature:
    return Feature(name, "boolean", meaning, example, optional=True)


def _age(low: int, example: int) -> Feature:
    return _number("age", "age", example, "years", low, 120)


SEX = _choice("sex", "sex", "female", "male", "female")

DIABETES = FeatureSet(
    "diabetes",
    (
        _whole("pregnancies", "number of pregnancies", 2, "", 0, 20),
        _maybe("glucose", "plasma glucose 2 h into a tolerance test", 138, "mg/dL", 40, 500),
        _maybe("blood_pressure", "diastolic blood pressure", 72, "mmHg", 20, 180),
        _maybe("skin_thickness", "triceps skin fold", 29, "mm", 2, 110),
        _maybe("insulin", "serum insulin 2 h into the test", 130, "mu U/mL", 5, 1000),
        _maybe("bmi", "body mass index", 31.5, "kg/m²", 10, 80),
        _number("diabetes_pedigree", "family-history score", 0.45, "", 0.05, 3),
        _age(18, 36),
    ),
)  # fmt: skip

HEART = FeatureSet(
    "heart",
    (
        _age(18, 55),
        SEX,
        _choice("chest_pain", "kind of chest pain", "atypical_angina",
                "typical_angina", "atypical_angina", "non_anginal", "none"),
        _maybe("resting_bp", "resting systolic blood pressure", 132, "mmHg", 60, 260),
        _maybe("cholesterol", "serum cholesterol", 245, "mg/dL", 60, 700),
        _flag("fasting_blood_sugar_high", "fasting blood sugar above 120 mg/dL"),
        _choice("resting_ecg", "resting electrocardiogram", "normal",
                "normal", "st_t_abnormality", "lv_hypertrophy", optional=True),
        _maybe("max_heart_rate", "highest heart rate reached", 148, "bpm", 50, 230),
        _flag("exercise_angina", "angina brought on by exercise", True),
        _maybe("st_depression", "ST depression by exercise against rest", 1.2, "mm", -4, 8),
        _choice("st_slope", "slope of the peak-exercise ST segment", "flat",
                "up", "flat", "down", optional=True),
        _whole("vessels", "major vessels coloured by fluoroscopy", 0, "", 0, 3, optional=True),
        _choice("thalassemia", "thallium scan (defect)", "normal",
                "normal", "fixed", "reversible", optional=True),
    ),
)  # fmt: skip

_SOCIAL = (
    _age(18, 62),
    SEX,
    _maybe("education_years", "years of education", 12, "years", 0, 25),
    _maybe("family_income_usd", "yearly family income", 48_000, "US$", 0, None),
    _whole("general_health", "physical health, 1 excellent to 5 poor", 3, "", 1, 5,
           optional=True),
    _whole("mental_health", "mental health, 1 excellent to 5 poor", 2, "", 1, 5, optional=True),
)  # fmt: skip

_DIAGNOSES = (
    _flag("high_blood_pressure", "ever told: high blood pressure", True),
    _flag("coronary_heart_disease", "ever told: coronary heart disease"),
    _flag("angina", "ever told: angina"),
    _flag("heart_attack", "ever told: heart attack"),
    _flag("other_heart_disease", "ever told: other heart disease"),
    _flag("emphysema", "ever told: emphysema"),
    _flag("high_cholesterol", "ever told: high cholesterol", True),
    _flag("cancer", "ever told: cancer"),
    _flag("diabetes", "ever told: diabetes", True),
    _flag("arthritis", "ever told: arthritis"),
    _flag("asthma", "ever told: asthma"),
)

STROKE = FeatureSet("stroke", _SOCIAL + _DIAGNOSES)

INSURANCE = FeatureSet(
    "insurance",
    (
        *_SOCIAL,
        _choice("coverage", "health insurance of the year: any private, public only, none",
                "private", "private", "public", "none", optional=True),
        *_DIAGNOSES,
        _flag("stroke", "ever told: stroke"),
    ),
)  # fmt: skip


def _cell(name: str, meaning: str, *triples: tuple[float, float]) -> tuple[Feature, ...]:
    """One measurement: its mean, standard error and worst value, each (example, high)."""
    names = (f"mean_{name}", f"{name}_error", f"worst_{name}")
    senses = ("mean of", "standard error of", "mean of the three largest:")
    return tuple(
        _number(label, f"{sense} {meaning}", example, "image scale", 0, high)
        for label, sense, (example, high) in zip(names, senses, triples, strict=True)
    )


_BY_MEASUREMENT = (
    _cell("radius", "radius of the nuclei", (12.2, 60), (0.258, 6), (13.3, 80)),
    _cell("texture", "deviation of grey values", (17.4, 80), (1.11, 10), (22.8, 100)),
    _cell("perimeter", "perimeter of the nuclei", (78.2, 400), (1.85, 50), (86.9, 600)),
    _cell("area", "area of the nuclei", (458, 6000), (19.6, 1500), (547, 10000)),
    _cell("smoothness", "local variation in radius", (0.0908, 0.4), (0.00653, 0.08), (0.125, 0.5)),
    _cell("compactness", "perimeter² / area - 1", (0.0753, 0.8), (0.0163, 0.3), (0.17, 2.5)),
    _cell("concavity", "depth of concave parts", (0.0371, 1), (0.0184, 0.8), (0.141, 3)),
    _cell("concave_points", "concave parts", (0.0234, 0.5), (0.00906, 0.15), (0.0743, 0.6)),
    _cell("symmetry", "symmetry of the nuclei", (0.171, 0.8), (0.0191, 0.2), (0.269, 1.5)),
    _cell("fractal_dimension", "coastline approximation - 1",
          (0.0615, 0.2), (0.00281, 0.06), (0.0771, 0.5)),
)  # fmt: skip

BREAST_CANCER = FeatureSet(
    "breast_cancer", tuple(group[part] for part in range(3) for group in _BY_MEASUREMENT)
)

SLEEP = FeatureSet(
    "sleep",
    (
        _number("age", "age (80 and above count as 80)", 47, "years", 16, 120),
        SEX,
        _maybe("bmi", "body mass index", 28.5, "kg/m²", 10, 100),
        _maybe("sleep_hours", "usual sleep on a night", 6.5, "h", 1, 16),
        _maybe("resting_pulse", "resting pulse", 72, "bpm", 30, 220),
        _maybe("systolic_bp", "systolic blood pressure", 121, "mmHg", 60, 260),
        _flag("physically_active", "moderate or vigorous sport or leisure activity", True),
        _choice("smoker", "smoking (100 cigarettes in life; now)", "former",
                "never", "former", "current", optional=True),
        _maybe("drinks_per_day", "alcoholic drinks on a day with drinking", 1, "drinks", 0, 60),
        _maybe("bad_mental_health_days", "poor mental health, last 30 days", 4, "days", 0, 30),
        _maybe("bad_physical_health_days", "poor physical health, last 30 days", 2, "days", 0, 30),
        _choice("depressed", "days felt down or depressed in two weeks", "several",
                "none", "several", "most", optional=True),
        _choice("general_health", "own view of health", "good",
                "excellent", "very_good", "good", "fair", "poor", optional=True),
    ),
)  # fmt: skip

REGIONS = (
    "Africa", "Americas", "Eastern Mediterranean", "Europe", "South-East Asia", "Western Pacific",
)  # fmt: skip

LIFE_EXPECTANCY = FeatureSet(
    "life_expectancy",
    (
        _whole("year", "calendar year", 2015, "", 1990, 2050),
        _choice("region", "WHO region", "Europe", *REGIONS, optional=True),
        _maybe("alcohol", "alcohol drunk per person aged 15+ and year", 6.2, "L/person", 0, 50),
        _maybe("bmi", "mean body mass index of adults", 26.1, "kg/m²", 10, 60),
        _maybe("thinness_pct", "thin children and teenagers, 5 to 19 years", 2.1, "%", 0, 100),
        _maybe("obesity_pct", "obese children and teenagers, 5 to 19 years", 8.4, "%", 0, 100),
        _maybe("hepatitis_pct", "immunised against hepatitis B", 94, "%", 0, 100),
        _maybe("measles_pct", "immunised against measles", 93, "%", 0, 100),
        _maybe("polio_pct", "immunised against polio", 94, "%", 0, 100),
        _maybe("diphtheria_pct", "immunised against diphtheria", 94, "%", 0, 100),
        _maybe("basic_water_pct", "people with basic drinking water", 97, "%", 0, 100),
        _maybe("gni_per_capita_ppp", "national income per person", 18_500, "PPP $", 0, 500_000),
        _maybe("health_spending_gdp_pct", "current health spending", 6.8, "% of GDP", 0, 100),
        _maybe("government_health_spending_gdp_pct", "government health spending", 4.1,
               "% of GDP", 0, 100),
        _maybe("schooling_years", "mean years of schooling", 10.8, "years", 0, 25),
        _maybe("hiv_pct", "people of 15 to 49 years with HIV", 0.3, "%", 0, 100),
    ),
)  # fmt: skip

FITNESS = FeatureSet(
    "fitbit_percentiles",
    (
        _choice("sex", "sex (absent: everyone)", "female", "male", "female", optional=True),
        _maybe("age", "age (absent: everyone)", 34, "years", 0, 120),
        _maybe("steps", "steps on the day", 8_500, "steps", 0, 200_000),
        _maybe("calories", "energy used on the day", 2_250, "kcal", 0, 20_000),
        _maybe("minutes_asleep", "sleep in the night", 415, "min", 0, 1_440),
        _maybe("resting_heart_rate", "resting heart rate", 62, "bpm", 20, 250),
        _maybe("active_minutes", "lightly to very active minutes", 240, "min", 0, 1_440),
    ),
)  # fmt: skip

FEATURES: Mapping[str, FeatureSet] = {
    table.model: table
    for table in (
        DIABETES, HEART, STROKE, BREAST_CANCER, SLEEP, LIFE_EXPECTANCY, INSURANCE, FITNESS,
    )
}  # fmt: skip
"""The inputs of every model that takes a row, by the model's name."""


def encode(model: str, rows: Iterable[Row]) -> FloatArray:
    """Rows of `model` -> float64 array (rows, features); see `FeatureSet.encode`."""
    return FEATURES[model].encode(rows)
