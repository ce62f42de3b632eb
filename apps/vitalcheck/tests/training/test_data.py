"""Readers: raw columns become the API's names and values; what means missing is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vitalcheck.features import FEATURES
from vitalcheck.training import data as reading
from vitalcheck.training.data import READERS, Dataset

SHARED = Path(__file__).parents[5] / "shared" / "data"
ROWS = {
    "diabetes": 614,
    "heart": 736,
    "stroke": 19594,
    "breast_cancer": 455,
    "sleep": 10446,
    "life_expectancy": 2465,
    "insurance": 19598,
}


def column(dataset: Dataset, name: str) -> np.ndarray:
    return dataset.inputs[:, dataset.features.index[name]]


@pytest.mark.parametrize("name", READERS)
def test_every_row_could_be_a_request(name: str, made_up: Path) -> None:
    """Values lie within the allowed ranges and levels; what may not be missing is there."""
    dataset = READERS[name](made_up)
    assert dataset.features is FEATURES[name]
    assert dataset.weights.mean() == pytest.approx(1)
    assert not np.isnan(dataset.target).any()
    check_allowed(dataset)


def check_allowed(dataset: Dataset) -> None:
    for feature in dataset.features.features:
        values = column(dataset, feature.name)
        known = values[~np.isnan(values)]
        assert len(known)
        assert feature.optional or len(known) == len(values), feature.name
        if feature.levels:
            assert set(known) <= set(range(len(feature.levels)))
        elif feature.kind == "boolean":
            assert set(known) <= {0, 1}
        else:
            assert feature.low is None or known.min() >= feature.low
            assert feature.high is None or known.max() <= feature.high


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not here")
@pytest.mark.parametrize("name", READERS)
def test_the_real_tables_are_read_whole(name: str) -> None:
    """As many rows as the data's README says, all of them allowed values."""
    dataset = READERS[name](SHARED)
    assert len(dataset) == ROWS[name]
    check_allowed(dataset)


def test_zero_means_missing_in_pima(made_up: Path) -> None:
    """Insulin 0 becomes missing, no pregnancies stays 0."""
    raw = pd.read_csv(made_up / reading.PIMA)
    dataset = reading.diabetes(made_up)
    assert np.isnan(column(dataset, "insulin")).sum() == (raw["Insulin"] == 0).sum() > 0
    assert (column(dataset, "pregnancies") == 0).any()


def test_heart_never_sees_the_site_and_groups_identical_rows(tmp_path: Path, made_up: Path) -> None:
    """The same patient at two sites is one group with the same inputs; cholesterol 0 is missing."""
    raw = pd.read_csv(made_up / reading.HEART)
    (tmp_path / "heart").mkdir()
    pd.concat([raw, raw.head(1).assign(site="va")]).to_csv(tmp_path / reading.HEART, index=False)
    dataset = reading.heart(tmp_path)
    assert dataset.groups[0] == dataset.groups[-1]
    np.testing.assert_array_equal(dataset.inputs[0], dataset.inputs[-1])
    assert len(np.unique(dataset.groups)) == len(raw)
    swiss = reading.heart_sites(tmp_path) == "switzerland"
    assert np.isnan(column(dataset, "cholesterol")[swiss]).all()


def test_meps_keeps_adults_in_scope_and_their_households_together(made_up: Path) -> None:
    """Children and weight 0 are left out; negative codes are missing; a household is a group."""
    raw = pd.read_csv(made_up / reading.MEPS)
    adults = raw[(raw["age15x"] >= 18) & (raw["perwt15f"] > 0)]
    dataset = reading.insurance(made_up)
    assert len(dataset) == len(adults) < len(raw)
    assert column(dataset, "age").min() >= 18
    assert np.isnan(column(dataset, "education_years")).sum() == (adults["educyr"] < 0).sum() > 0
    assert np.isnan(column(dataset, "diabetes")).sum() == (adults["diabdx"] < 0).sum() > 0
    assert column(dataset, "family_income_usd").min() == 0
    assert len(np.unique(dataset.groups)) == adults["duid"].nunique()


def test_smoking_and_heavy_drinking_in_nhanes(made_up: Path) -> None:
    """Never, former and current smokers are told apart; a code beyond the range is missing."""
    raw = pd.read_csv(made_up / reading.NHANES, keep_default_na=False)
    dataset = reading.sleep(made_up)
    smoker = column(dataset, "smoker")
    np.testing.assert_array_equal(smoker == 0, raw["Smoke100"] == "No")
    np.testing.assert_array_equal(smoker == 2, raw["SmokeNow"] == "Yes")
    np.testing.assert_array_equal(
        np.isnan(column(dataset, "drinks_per_day")), raw["AlcoholDay"] == 82
    )
    np.testing.assert_array_equal(column(dataset, "depressed") == 0, raw["Depressed"] == "None")


def test_income_of_a_country_falls_back_to_the_other_column(made_up: Path) -> None:
    """Where gni_capita is missing une_gni stands in."""
    assert not np.isnan(column(reading.life_expectancy(made_up), "gni_per_capita_ppp")).any()


def test_missing_files_are_named_once(tmp_path: Path) -> None:
    """Two models of one table need one file."""
    assert reading.missing_files(tmp_path, ["stroke", "insurance"]) == [tmp_path / reading.MEPS]
    assert reading.missing_files(tmp_path, []) == []


def test_take_keeps_rows_together(made_up: Path) -> None:
    """A part of a dataset keeps inputs, target, group and weight of each row."""
    dataset = reading.insurance(made_up)
    part = dataset.take(np.array([3, 1]))
    assert len(part) == 2
    np.testing.assert_array_equal(part.inputs, dataset.inputs[[3, 1]])
    assert part.weights.tolist() == dataset.weights[[3, 1]].tolist()
