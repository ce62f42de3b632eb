"""The pipelines: standard scikit-learn estimators on the numeric arrays of `FeatureSet.encode`.

Only classes of scikit-learn, numpy and scipy end up in the artifacts, so that the lock file's list
of allowed globals stays short and the pipelines convert to ONNX. For the latter reason
`SimpleImputer(add_indicator=True)` is avoided: skl2onnx drops the indicators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    MinMaxScaler,
    OneHotEncoder,
    PowerTransformer,
    StandardScaler,
)

from vitalcheck import features
from vitalcheck.features import FeatureSet, FloatArray

_UNKNOWN = -1e6
"""Stands for a missing value before the pipelines tell known from unknown."""


class Classifying(Protocol):
    """An estimator of probabilities: (rows, 2), column 1 is the positive class."""

    def predict_proba(self, X: FloatArray) -> FloatArray: ...


def diabetes() -> Pipeline:
    """Logistic regression on medians for the missing and Yeo-Johnson transformed measurements."""
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        PowerTransformer(),
        MinMaxScaler(clip=True),
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=1000),
    )


def heart() -> Pipeline:
    """Logistic regression; "not known" is a level of its own for every exam.

    Levels and booleans are one-hot with no column for missing; numbers get a known-or-not column.
    """
    table = features.HEART
    exams = ("resting_bp", "cholesterol", "max_heart_rate", "st_depression")
    numbers = [table.index[name] for name in ("age", *exams)]
    return make_pipeline(
        ColumnTransformer(
            [
                ("numbers", _clipped(), numbers),
                ("known", _is_known(), [table.index[name] for name in exams]),
                _one_hot(table, [c for c in range(len(table)) if c not in numbers]),
            ]
        ),
        LogisticRegression(C=0.3, max_iter=1000),
    )


def stroke() -> Pipeline:
    """The mean of a logistic regression and of gradient boosting of two-level trees."""
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=1000))
    trees = GradientBoostingClassifier(
        learning_rate=0.03,
        n_estimators=300,
        max_depth=2,
        min_samples_leaf=40,
        subsample=0.5,
        max_features=4,
        random_state=0,
    )
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        VotingClassifier(
            [("linear", linear), ("trees", trees)], voting="soft", flatten_transform=False
        ),
    )


def breast_cancer() -> Pipeline:
    """Logistic regression on the 30 standardised measurements."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))


def sleep() -> Pipeline:
    """Gradient boosting of small trees, which split what is missing off (-1, below every value)."""
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True),
        GradientBoostingClassifier(
            learning_rate=0.04,
            n_estimators=300,
            max_depth=3,
            min_samples_leaf=30,
            subsample=0.5,
            max_features=4,
            random_state=0,
        ),
    )


def life_expectancy() -> Pipeline:
    """Gradient boosting of small trees, each on three random inputs; -1 stands for missing."""
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True),
        GradientBoostingRegressor(
            learning_rate=0.05,
            n_estimators=300,
            max_depth=3,
            min_samples_leaf=10,
            subsample=0.5,
            max_features=3,
            random_state=0,
        ),
    )


def spending_mean() -> Pipeline:
    """Boosting with the Poisson deviance: a mean that is never negative."""
    return make_pipeline(
        HistGradientBoostingRegressor(
            loss="poisson",
            learning_rate=0.05,
            max_iter=100,
            max_leaf_nodes=4,
            min_samples_leaf=100,
            early_stopping=False,  # pyright: ignore[reportArgumentType]
            random_state=0,
        )
    )


def spending_quantile(level: float, leaves: int) -> Pipeline:
    """Boosting with the pinball loss of `level`, trees of so many leaves."""
    return make_pipeline(
        HistGradientBoostingRegressor(
            loss="quantile",
            quantile=level,
            learning_rate=0.08,
            max_iter=200,
            max_leaf_nodes=leaves,
            min_samples_leaf=60,
            early_stopping=False,  # pyright: ignore[reportArgumentType]
            random_state=0,
        )
    )


def _clipped() -> Pipeline:
    """Medians for the missing; held within the training range; standardised."""
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        MinMaxScaler(clip=True),
        StandardScaler(),
    )


def _is_known() -> Pipeline:
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=_UNKNOWN, keep_empty_features=True),
        Binarizer(threshold=_UNKNOWN / 2),
    )


def _one_hot(table: FeatureSet, columns: Sequence[int]) -> tuple[str, Pipeline, list[int]]:
    """One column for every level of each choice, boolean and small integer; none for missing."""
    levels = [_levels(table, column) for column in columns]
    pipeline = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=_UNKNOWN, keep_empty_features=True),
        OneHotEncoder(
            categories=levels,  # pyright: ignore[reportArgumentType]
            handle_unknown="ignore",
            sparse_output=False,
        ),
    )
    return "levels", pipeline, list(columns)


def _levels(table: FeatureSet, column: int) -> list[float]:
    item = table.features[column]
    if item.kind == "choice":
        return [float(code) for code in range(len(item.levels))]
    if item.kind == "boolean":
        return [0.0, 1.0]
    return [float(code) for code in range(int(item.low or 0), int(item.high or 0) + 1)]
