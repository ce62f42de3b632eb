"""Transformers, and pipelines of them, answer as their graphs do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_regression
from sklearn.frozen import FrozenEstimator
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeRegressor

from loadonce.convert.graphs import build

from . import data
from .comparing import compared
from .test_models import EXACT, fitted

LINEAR = LinearRegression()
TEXTS = ["city", "plan"]
NUMBERS = ["age", "income", "visits"]

SCALERS = {
    "standard": StandardScaler(),
    "standard without mean": StandardScaler(with_mean=False),
    "nothing": StandardScaler(with_mean=False, with_std=False),
    "robust": RobustScaler(),
    "robust center": RobustScaler(with_scaling=False),
    "min-max": MinMaxScaler(clip=True),
    "max-abs": MaxAbsScaler(),
    "binarizer": Binarizer(threshold=0.2),
    "l1": Normalizer("l1"),
    "l2": Normalizer("l2"),
    "max": Normalizer("max"),
    "yeo-johnson": PowerTransformer(),
    "identity": FunctionTransformer(),
    "tanh": FunctionTransformer(np.tanh),
    "square": FunctionTransformer(np.square),
    "bins": KBinsDiscretizer(4, encode="ordinal", quantile_method="averaged_inverted_cdf"),
    "bins one-hot": KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"),
    "indicators": FeatureUnion(
        [("a", MissingIndicator(error_on_new=False)), ("b", SimpleImputer())]
    ),
    "median": SimpleImputer(strategy="median"),
    "most frequent with indicators": SimpleImputer(strategy="most_frequent", add_indicator=True),
    "constant": SimpleImputer(strategy="constant", fill_value=-1.0),
    "zero is missing": SimpleImputer(missing_values=0.0),
    "pca": PCA(3),
    "pca whitened": PCA(2, whiten=True),
    "svd": TruncatedSVD(2, random_state=0),
    "products": PolynomialFeatures(3),
    "products without bias": PolynomialFeatures(2, include_bias=False, interaction_only=True),
    "best": SelectKBest(f_regression, k=2),
    "varying": VarianceThreshold(0.1),
    "union": FeatureUnion(
        [("a", StandardScaler()), ("b", "passthrough"), ("c", "drop"), ("d", MaxAbsScaler())],
        transformer_weights={"a": 2.5},
    ),
}
STRICT = {
    *("pca", "pca whitened", "svd", "products", "products without bias", "best"),
    *("binarizer", "l1", "l2", "max", "bins", "bins one-hot", "zero is missing"),
}
ENCODERS = {
    "one-hot": OneHotEncoder(handle_unknown="ignore"),
    "one-hot strict": OneHotEncoder(),
    "one-hot dropping": OneHotEncoder(drop="first", handle_unknown="ignore"),
    "one-hot dropping binary": OneHotEncoder(drop="if_binary"),
    "one-hot infrequent": OneHotEncoder(min_frequency=25, handle_unknown="infrequent_if_exist"),
    "ordinal": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    "ordinal with gaps": OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-2, encoded_missing_value=-1
    ),
    "ordinal infrequent": OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, max_categories=3
    ),
    "ordinal strict": OrdinalEncoder(),
    "target": TargetEncoder(random_state=0),
}


@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize("name", SCALERS)
def test_numbers_are_transformed_alike(name: str, missing: float) -> None:
    rows = data.numbers(missing=missing)
    if name in STRICT:
        rows = np.nan_to_num(rows)
    model = fitted(
        make_pipeline(SCALERS[name], SimpleImputer(keep_empty_features=True), LINEAR),
        rows,
        data.amounts(),
    )
    found = compared(model, rows)
    assert found.answered == 0
    assert found.difference < EXACT


@pytest.mark.parametrize("function", ["log1p", "log", "log2", "log10", "sqrt"])
def test_functions_of_positive_numbers_are_known(function: str) -> None:
    rows = np.abs(data.numbers()) + 0.1
    steps = [FunctionTransformer(getattr(np, function)), LINEAR]
    found = compared(fitted(make_pipeline(*steps), rows, data.amounts()), rows)
    assert found.answered == 0
    assert found.difference < EXACT


@pytest.mark.parametrize("function", ["expm1", "exp", "abs", "negative", "reciprocal", "floor"])
def test_functions_of_any_number_are_known(function: str) -> None:
    rows = np.clip(data.numbers(), -3, 3)
    scaled = MinMaxScaler((0.5, 2.0), clip=True)
    steps = [scaled, FunctionTransformer(getattr(np, function)), LINEAR]
    assert compared(fitted(make_pipeline(*steps), rows, data.amounts()), rows).difference < EXACT


@pytest.mark.parametrize("is_flat", [False, True])
def test_box_cox_refuses_what_is_not_positive(is_flat: bool) -> None:
    rows = np.abs(data.numbers()) + 0.1
    power = PowerTransformer("box-cox", standardize=is_flat)
    model = fitted(make_pipeline(power, LINEAR), rows, data.amounts())
    if is_flat:
        power.lambdas_[0] = 0.0
    found = compared(model, rows)
    assert found.refused > found.answered == 0
    assert found.difference < EXACT


@pytest.mark.parametrize("imputed", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_categories_are_encoded_alike(name: str, imputed: bool) -> None:
    """Of texts and of numbers, known, unknown and missing; with and without an imputer before."""
    rows = data.frame()
    encoder = ENCODERS[name]
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder) if imputed else encoder
    model = Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("texts", texts, TEXTS),
                        ("visits", encoder, ["visits"]),
                        ("numbers", SimpleImputer(), ["age", "income"]),
                    ],
                    sparse_threshold=0,
                ),
            ),
            ("model", DecisionTreeRegressor(max_depth=6, random_state=0)),
        ]
    )
    found = compared(fitted(model, rows, data.amounts()), rows)
    assert found.answered == 0
    assert found.difference < EXACT
    assert found.rows > len(rows) / 2


@pytest.mark.parametrize("remainder", ["drop", "passthrough"])
def test_columns_are_chosen_alike(remainder: str) -> None:
    """By name, place, slice, mask and type; what remains is dropped or passed on."""
    rows = data.frame(missing=0.0)
    columns = ColumnTransformer(
        [
            ("a", StandardScaler(), slice(0, 1)),
            ("b", OneHotEncoder(), make_column_selector(dtype_include=object)),
            ("c", MinMaxScaler(), [False, True, False, False, False]),
            ("d", "passthrough", ["age"]),
            ("e", "drop", ["income"]),
            ("f", StandardScaler(), []),
        ],
        remainder=remainder,
        transformer_weights={"a": 3.0},
    )
    model = make_pipeline(columns, None, LogisticRegression())
    found = compared(fitted(model, rows, data.two()), rows)
    assert (found.labels, found.answered) == (0, 0)
    assert found.difference < EXACT


@pytest.mark.parametrize("missing", [np.nan, pd.NA, "Chur", 0])
def test_texts_are_imputed_and_marked(missing: object) -> None:
    """Where nothing is a text's missing value, or a text is."""
    rows = data.frame(missing=0.0 if isinstance(missing, str | int) else 0.2)
    imputer = SimpleImputer(strategy="most_frequent", missing_values=missing, add_indicator=True)
    columns = ColumnTransformer(
        [("texts", imputer, TEXTS), ("numbers", SimpleImputer(), NUMBERS)], sparse_threshold=0
    )
    encoders = ColumnTransformer(
        [("texts", OneHotEncoder(), [0, 1])], remainder="passthrough", sparse_threshold=0
    )
    model = fitted(make_pipeline(columns, encoders, LINEAR), rows, data.amounts())
    found = compared(model, rows)
    assert found.answered == 0
    assert found.difference < EXACT


def test_the_missing_are_filled_once() -> None:
    """By the first imputer, whatever a second one would put."""
    rows = data.frame()[["city"]]
    first = SimpleImputer(strategy="constant", fill_value="Chur")
    second = SimpleImputer(strategy="constant", fill_value="Bern", missing_values="Chur")
    model = make_pipeline(first, second, OneHotEncoder(), LINEAR)
    assert compared(fitted(model, rows, data.amounts()), rows).difference < EXACT


@pytest.mark.parametrize("filled", [False, True])
def test_texts_without_names_are_told_apart_by_their_column(filled: bool) -> None:
    rows = data.frame(missing=0.2 if filled else 0.0)[TEXTS].to_numpy()
    steps = [SimpleImputer(strategy="most_frequent")] if filled else []
    model = fitted(make_pipeline(*steps, OneHotEncoder(), LINEAR), rows, data.amounts())
    graph = build(model, None)
    assert [(each.name, each.type) for each in graph.features] == [("x0", "text"), ("x1", "text")]
    found = compared(model, rows, graph)
    assert found.answered == 0
    assert found.difference < EXACT


def test_texts_and_numbers_are_imputed_side_by_side() -> None:
    """Their order stays; an imputer's text can be one that the encoder does not know."""
    rows = data.frame()
    imputer = SimpleImputer(strategy="constant", fill_value="gone", add_indicator=True)
    columns = ColumnTransformer(
        [("texts", make_pipeline(imputer), TEXTS), ("rest", SimpleImputer(), NUMBERS)]
    )
    columns.fit(rows)
    known = OneHotEncoder(
        categories=[["Bern", "Genf"], ["a", "b"]], handle_unknown="ignore", sparse_output=False
    )
    encoders = ColumnTransformer([("texts", known, [0, 1])], remainder="passthrough")
    model = fitted(make_pipeline(columns, encoders, LINEAR), rows, data.amounts())
    assert compared(model, rows).difference < EXACT


def test_an_indicator_refuses_what_it_never_saw_missing() -> None:
    rows = data.numbers()
    rows[3, 1] = np.nan
    union = FeatureUnion([("a", MissingIndicator()), ("b", SimpleImputer())])
    model = fitted(make_pipeline(union, LINEAR), rows, data.amounts())
    found = compared(model, rows)
    assert found.refused > found.answered == 0


def test_a_feature_that_is_not_used_has_the_type_that_is_said() -> None:
    """A text that is dropped is still sent as a text."""
    rows = data.frame(missing=0.0)
    columns = ColumnTransformer([("a", StandardScaler(), NUMBERS)])
    model = fitted(make_pipeline(columns, LINEAR), rows, data.amounts())
    graph = build(model, None, text=TEXTS)
    assert [each.type for each in graph.features] == ["number", "number", "text", "text", "number"]
    assert compared(model, rows, graph).difference < EXACT


def test_a_frozen_transformer_is_what_it_holds() -> None:
    rows = data.numbers()
    scaler = FrozenEstimator(StandardScaler().fit(rows))
    model = fitted(make_pipeline(scaler, LINEAR), rows, data.amounts())
    assert compared(model, rows).difference < EXACT
