"""XGBoost and LightGBM answer as their graphs do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from xgboost import XGBClassifier, XGBRegressor

from loadonce.convert.graphs import build

from . import data
from .comparing import compared
from .test_models import EXACT, fitted
from .test_refusals import refuses

SINGLE = 5e-7
XGB: dict[str, Any] = {"n_estimators": 8, "max_depth": 3, "n_jobs": 1}
LGBM: dict[str, Any] = {"n_estimators": 8, "min_child_samples": 5, "verbose": -1, "n_jobs": 1}


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("target", [data.two(), np.arange(data.ROWS) % 3], ids=["two", "three"])
def test_xgboost_classifies_alike(target: Any, missing: float) -> None:
    rows = data.numbers(missing=missing)
    found = compared(fitted(XGBClassifier(**XGB), rows, target), rows)
    assert (found.labels, found.refused) == (0, 0)
    assert found.difference < SINGLE


@pytest.mark.parametrize(
    "objective",
    ["reg:squarederror", "reg:absoluteerror", "count:poisson", "reg:gamma", "reg:tweedie"],
)
def test_xgboost_estimates_alike(objective: str) -> None:
    rows = data.numbers(missing=0.1)
    model = XGBRegressor(objective=objective, **XGB)
    found = compared(fitted(model, rows, data.amounts()), rows)
    assert found.refused == 0
    assert found.difference < SINGLE


def test_xgboost_estimates_shares_alike() -> None:
    rows = data.numbers()
    model = XGBRegressor(objective="reg:logistic", **XGB)
    assert compared(fitted(model, rows, data.two()), rows).difference < SINGLE


def test_xgboost_stops_where_training_found_it_best() -> None:
    rows = data.numbers()
    model = XGBRegressor(early_stopping_rounds=2, **(XGB | {"n_estimators": 40}))
    model.fit(
        rows[:80], data.amounts()[:80], eval_set=[(rows[80:], data.amounts()[80:])], verbose=0
    )
    assert model.best_iteration < 20
    assert compared(model, rows).difference < SINGLE


@pytest.mark.parametrize("target", [data.two(), data.three()], ids=["two", "three"])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_lightgbm_classifies_alike(target: Any, missing: float) -> None:
    rows = data.numbers(missing=missing)
    found = compared(fitted(LGBMClassifier(**LGBM), rows, target), rows)
    assert (found.labels, found.refused) == (0, 0)
    assert found.difference < EXACT


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"objective": "quantile", "alpha": 0.9},
        {"objective": "poisson"},
        {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
        {"use_missing": False},
    ],
    ids=str,
)
def test_lightgbm_estimates_alike(options: dict[str, Any]) -> None:
    rows = data.numbers(missing=0.1)
    found = compared(fitted(LGBMRegressor(**LGBM, **options), rows, data.amounts()), rows)
    assert found.refused == 0
    assert found.difference < EXACT


def test_lightgbm_reads_categories_that_are_numbers_as_whole_ones() -> None:
    rows = np.column_stack([np.arange(200) % 9, np.linspace(0.0, 1.0, 200)]).astype(float)
    target = np.isin(rows[:, 0], [0, 2, 5]) * 50.0 + rows[:, 1]
    model = LGBMRegressor(**LGBM, min_data_per_group=2, cat_smooth=0.0)
    model.fit(rows, target, categorical_feature=[0])
    categories = [0.0, 2.0, 2.5, 5.999, -0.5, -0.0, -1.0, 5e-324, 40.0, 1e300, np.inf, np.nan]
    asked = np.column_stack([categories, np.full(len(categories), 0.5)])
    assert len(np.unique(model.predict(asked))) > 1  # the control: sets tell them apart
    found = compared(model, asked)
    assert found.refused == 0
    assert found.difference < EXACT


def test_lightgbm_scales_its_logistic_function() -> None:
    rows = data.numbers()
    model = LGBMClassifier(**LGBM, sigmoid=2.0)
    assert compared(fitted(model, rows, data.two()), rows).difference < EXACT


def test_boosters_end_pipelines() -> None:
    rows = data.numbers(missing=0.1)
    for model in (XGBRegressor(**XGB), LGBMRegressor(**LGBM)):
        pipeline = fitted(make_pipeline(SimpleImputer(), model), rows, data.amounts())
        assert compared(pipeline, rows).difference < SINGLE


def test_lightgbm_knows_categories() -> None:
    """Of pandas: by their codes; unknown ones are missing."""
    rows = data.frame()
    typed = rows.astype({"city": "category", "plan": "category"})
    target = data.amounts() * (1 + 5 * (rows["city"] == "Chur"))
    options: dict[str, Any] = {"min_data_per_group": 2, "cat_smooth": 1.0, "max_cat_to_onehot": 1}
    model = fitted(LGBMRegressor(**LGBM, **options), typed, target)
    found = compared(Typed(model, typed.dtypes), rows, build(model, None))
    assert found.refused == 0
    assert found.difference < EXACT


class Typed:
    """A model that is given texts as pandas' categories."""

    def __init__(self, model: Any, types: Any) -> None:
        self._model = model
        self._types = types

    def predict(self, rows: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._model.predict(rows.astype(self._types))


@pytest.mark.filterwarnings("ignore:.*gblinear:UserWarning")  # that its time is over
@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (XGBRegressor(missing=-1.0, **XGB), "missing=-1.0"),
        (XGBRegressor(booster="gblinear"), "booster gblinear with objective reg:squarederror"),
        (XGBClassifier(objective="binary:hinge", **XGB), "objective binary:hinge"),
        (XGBClassifier(objective="reg:squarederror", **XGB), "gives no probabilities"),
        (LGBMRegressor(objective="cross_entropy", **LGBM), "objective cross_entropy"),
        (LGBMRegressor(reg_sqrt=True, **LGBM), "objective regression sqrt"),
        (LGBMRegressor(zero_as_missing=True, **LGBM), "zero_as_missing=True"),
        (LGBMRegressor(linear_tree=True, **LGBM), "linear_tree=True"),
        (LGBMClassifier(objective="regression", **LGBM), "objective regression gives no prob"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_boosters_cannot_say_is_refused(model: Any, reason: str) -> None:
    refuses(reason, model)


def test_xgboost_with_several_outputs_is_refused() -> None:
    refuses("several outputs", XGBRegressor(**XGB), target=data.numbers(2, seed=4))


def test_xgboost_with_categories_is_refused() -> None:
    rows = data.frame()[["age", "city"]].astype({"city": "category"})
    refuses("its categories", XGBRegressor(enable_categorical=True, **XGB), rows, data.amounts())


def test_lightgbm_with_categories_that_are_not_recorded_is_refused() -> None:
    """One that never varied is not told from a number."""
    rows = data.frame()[["age", "city"]].astype({"city": "category"})
    rows["city"] = rows["city"].cat.add_categories(["none"]).where(rows["age"] < 0, "none")
    refuses("which of its features are categories", LGBMRegressor(**LGBM), rows, data.amounts())
