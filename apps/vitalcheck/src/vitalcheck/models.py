"""Everything VitalCheck loads once, in one registry whose directories follow the settings."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Final

import pyarrow

from loadonce import Classifier, Model, Registry, Regressor, artifact, resource, table

from .analytics import HospitalStays, open_stays
from .cards import ARTIFACTS, Cards, open_cards
from .imaging import Network
from .percentiles import ReferenceDays, open_days
from .settings import Settings

current_settings: ContextVar[Settings | None] = ContextVar("vitalcheck_settings", default=None)
"""The settings of the app that is being started; the environment's where there is none."""


_PIPELINE: Final = "sklearn pipeline, converted to ONNX"


def _settings() -> Settings:
    return current_settings.get() or Settings()


def _models_dir() -> Path:
    return _settings().models_dir


def _tables_dir() -> Path:
    return _settings().tables_dir


class Models(Registry):
    """Eight models, three tables, their cards, and what is derived from them.

    Column 1 of every classifier's `predict_proba` is the probability of the disease.
    """

    diabetes: Model[Classifier] = artifact("diabetes.predictor.onnx", kind=_PIPELINE)
    heart: Model[Classifier] = artifact("heart.predictor.onnx", kind=_PIPELINE)
    stroke: Model[Classifier] = artifact("stroke.predictor.onnx", kind=_PIPELINE)
    breast_cancer: Model[Classifier] = artifact("breast_cancer.predictor.onnx", kind=_PIPELINE)
    sleep: Model[Classifier] = artifact("sleep.predictor.onnx", kind=_PIPELINE)
    life_expectancy: Model[Regressor] = artifact("life_expectancy.predictor.onnx", kind=_PIPELINE)
    insurance: Model[Mapping[str, Regressor]] = artifact(
        {name: f"insurance_{name}.predictor.onnx" for name in ("mean", "q05", "q95")},
        kind="three sklearn pipelines, converted to ONNX",
    )
    brain_tumor: Model[Network] = artifact(
        "brain_tumor.onnx", required=False, threads=2, kind="ONNX network"
    )
    fitbit_percentiles: Model[pyarrow.Table] = table(
        "fitbit_percentiles.parquet", root=_tables_dir, required=False, kind="Parquet table"
    )
    hospital_analytics: Model[Mapping[str, pyarrow.Table]] = artifact(
        {
            "departments": "hospital_departments.parquet",
            "conditions": "hospital_conditions.parquet",
        },
        root=_tables_dir,
        required=False,
        kind="Parquet tables",
    )
    card_files: Model[Mapping[str, Mapping[str, object]]] = artifact(
        {name: f"cards/{name}.json" for name in ARTIFACTS}, kind="model cards"
    )
    cards: Model[Cards] = resource(open_cards, card_files, kind="derived")
    reference_days: Model[ReferenceDays] = resource(
        open_days, fitbit_percentiles, required=False, kind="derived"
    )
    hospital_stays: Model[HospitalStays] = resource(
        open_stays, hospital_analytics, required=False, kind="derived"
    )


models = Models(root=_models_dir)
