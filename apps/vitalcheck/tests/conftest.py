"""An app whose models are small known functions: no artifact is opened.

`override` stands in at the front door of each model, as a user's own tests would.
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from vitalcheck.analytics import HospitalStays
from vitalcheck.answers import Condition, Department
from vitalcheck.app import create_app
from vitalcheck.cards import ARTIFACTS, Cards, read_card
from vitalcheck.features import FEATURES, FeatureSet, FloatArray
from vitalcheck.imaging import Pixels
from vitalcheck.models import Models, models
from vitalcheck.percentiles import Distribution, ReferenceDays
from vitalcheck.schemas import METRICS


class Logistic:
    """A smooth probability with interactions that takes NaN; counts its calls."""

    def __init__(self, table: FeatureSet) -> None:
        random = np.random.default_rng(len(table))
        self.centre = table.encode([table.example])[0]
        self.weights = random.normal(size=len(table))
        self.calls: list[int] = []

    def score(self, rows: FloatArray) -> FloatArray:
        assert np.isfinite(rows[~np.isnan(rows)]).all()
        self.calls.append(len(rows))
        moved = np.tanh((np.nan_to_num(rows, nan=-1.0) - self.centre) / (1 + np.abs(self.centre)))
        linear = moved @ self.weights
        return np.asarray(linear + 0.3 * linear * moved[:, 0] - 1)

    def predict_proba(self, rows: FloatArray, /) -> FloatArray:
        positive = 1 / (1 + np.exp(-self.score(rows)))
        return np.column_stack([1 - positive, positive])

    def predict(self, rows: FloatArray, /) -> FloatArray:
        return 70 + 10 * self.score(rows)


class Dollars:
    """A regressor around an amount of US$."""

    def __init__(self, amount: float) -> None:
        self.amount = amount
        self.inner = Logistic(FEATURES["insurance"])

    def predict(self, rows: FloatArray, /) -> FloatArray:
        return self.amount + 3000 * self.inner.score(rows)


class Grey:
    """A network that answers by how bright the picture is."""

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Pixels]
    ) -> Sequence[Pixels]:
        brightness = input_feed["image"].mean(axis=(1, 2, 3))
        rest = (1 - brightness) / 3
        return [np.stack([brightness, rest, rest, rest], axis=1).astype(np.float32)]


def card_document(name: str) -> dict[str, Any]:
    table = FEATURES.get(name)
    facts = {"name": name, "known_limits": ["made up for tests"]}
    return {**facts, "reference": reference_row(table)} if table else facts


def reference_row(table: FeatureSet) -> dict[str, Any]:
    """The example, with every number halfway to its lower bound."""
    row = dict(table.example)
    for item in table.features:
        if item.kind == "number":
            row[item.name] = (float(item.example or 0) + (item.low or 0)) / 2
    return row


def stub_cards() -> Cards:
    return {name: read_card(name, card_document(name)) for name in ARTIFACTS}


def stub_days() -> ReferenceDays:
    levels = np.linspace(0, 100, 101)
    one = {metric: Distribution(levels * 100, levels, 900, 30) for metric in METRICS}
    few = {"steps": Distribution(levels * 50, levels, 40, 12)}
    return ReferenceDays({("all", "all"): one, ("female", "all"): one, ("female", "<30"): few})


def stub_stays() -> HospitalStays:
    return HospitalStays(
        [
            Department(
                department=name, stays=stays, mean_days=4.2, median_days=4, p90_days=9,
                readmitted_30d=0.1,
            )
            for name, stays in (("Cardiology", 500), ("InternalMedicine", 400), ("Surgery", 20))
        ],
        [Condition(condition="Heart failure", stays=40, mean_cost_usd=9000, mean_days=5)],
    )  # fmt: skip


def stubs() -> dict[str, Any]:
    """One object for each model of the registry."""
    risks = ("diabetes", "heart", "stroke", "breast_cancer", "sleep", "life_expectancy")
    return {
        **{name: Logistic(FEATURES[name]) for name in risks},
        "insurance": {"mean": Dollars(4000), "q05": Dollars(200), "q95": Dollars(20000)},
        "brain_tumor": Grey(),
        "fitbit_percentiles": object(),
        "hospital_analytics": object(),
        "card_files": {},
        "cards": stub_cards(),
        "reference_days": stub_days(),
        "hospital_stays": stub_stays(),
    }


@pytest.fixture(scope="session")
def registry() -> Models:
    return models


@pytest.fixture(scope="module")
def app() -> Iterator[FastAPI]:
    """The app, with a stub in the place of every model."""
    with ExitStack() as overrides:
        for name, stub in stubs().items():
            overrides.enter_context(models[name].override(stub))
        yield create_app()


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A small valid PNG."""
    buffer = io.BytesIO()
    grey = np.tile(np.arange(128, dtype=np.uint8), (96, 1))
    Image.fromarray(grey).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def bodies(picture: bytes) -> dict[str, Any]:
    """A valid body for every route that takes one."""
    examples = {name: dict(table.example) for name, table in FEATURES.items()}
    several = {name: examples[name] for name in ("diabetes", "heart", "stroke")}
    return {
        "/api/v1/risk/diabetes": examples["diabetes"],
        "/api/v1/risk/heart": examples["heart"],
        "/api/v1/risk/stroke": examples["stroke"],
        "/api/v1/risk/breast-cancer": examples["breast_cancer"],
        "/api/v1/risk/comprehensive": several,
        "/api/v1/sleep/assessment": examples["sleep"],
        "/api/v1/longevity/life-expectancy": examples["life_expectancy"],
        "/api/v1/insurance/cost": examples["insurance"],
        "/api/v1/fitness/percentiles": examples["fitbit_percentiles"],
        "/api/v1/imaging/brain-tumor": {"image_base64": base64.b64encode(picture).decode()},
    }
