"""The pipelines: standard scikit-learn estimators on the numeric arrays of `FeatureSet.encode`.

Only classes of scikit-learn, numpy and scipy end up in the artifacts, so that the lock file's list
of allowed globals stays short and the pipelines convert to ONNX. `SimpleImputer(add_indicator=True)`
is avoided for the latter reason: skl2onnx drops the indicators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
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


class Estimator(Protocol):
    """What scikit-learn's estimators share."""

    def fit(
        self, X: FloatArray, y: FloatArray, *, sample_weight: FloatArray | None = ...
    ) -> Self: ...


class Classifying(Estimator, Protocol):
    """An estimator of probabilities: (rows, 2), column 1 is the positive class."""

    def predict_proba(self, X: FloatArray) -> FloatArray: ...


class Regressing(Estimator, Protocol):
    """An estimator of a quantity: (rows,)."""

    def predict(self, X: FloatArray) -> FloatArray: ...


def diabetes() -> Pipeline:
    """Logistic regression on medians for the missing and Yeo-Johnson transformed measurements."""
    return make_pipeline(
        SimpleImputer(strategy="median"),
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
        LogisticRegression(C=0.1, max_iter=1000),
    )


def stroke() -> Pipeline:
    """Gradient boosting of one-split trees: additive in the inputs, age effect as it comes."""
    return make_pipeline(
        SimpleImputer(strategy="median"),
        HistGradientBoostingClassifier(
            learning_rate=0.03,
            max_iter=300,
            max_depth=2,
            min_samples_leaf=40,
            early_stopping=False,
            random_state=0,
        ),
    )


def breast_cancer() -> Pipeline:
    """Logistic regression on the 30 standardised measurements."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=1000))


def sleep() -> Pipeline:
    """Gradient boosting of small trees, which take missing values as they are."""
    return make_pipeline(
        HistGradientBoostingClassifier(
            learning_rate=0.03,
            max_iter=250,
            max_leaf_nodes=6,
            min_samples_leaf=30,
            max_features=0.5,
            early_stopping=False,
            random_state=0,
        )
    )


def life_expectancy() -> Pipeline:
    """Gradient boosting of small trees on random subsets of the inputs."""
    return make_pipeline(
        HistGradientBoostingRegressor(
            learning_rate=0.05,
            max_iter=200,
            max_leaf_nodes=8,
            min_samples_leaf=20,
            max_features=0.4,
            early_stopping=False,
            random_state=0,
        )
    )


def spending_mean() -> Pipeline:
    """Gradient boosting with the Poisson deviance: a mean that is never negative."""
    return make_pipeline(
        HistGradientBoostingRegressor(
            loss="poisson",
            learning_rate=0.05,
            max_iter=100,
            max_leaf_nodes=4,
            min_samples_leaf=100,
            early_stopping=False,
            random_state=0,
        )
    )


def spending_quantile(level: float, leaves: int) -> Pipeline:
    """Gradient boosting with the pinball loss of `level`, trees of so many leaves."""
    return make_pipeline(
        HistGradientBoostingRegressor(
            loss="quantile",
            quantile=level,
            learning_rate=0.08,
            max_iter=200,
            max_leaf_nodes=leaves,
            min_samples_leaf=60,
            early_stopping=False,
            random_state=0,
        )
    )


def calibrated(pipeline: Pipeline, folds: int = 5) -> CalibratedClassifierCV:
    """`pipeline` with sigmoid calibration fitted on its own out-of-fold predictions."""
    return CalibratedClassifierCV(pipeline, method="sigmoid", cv=folds, ensemble=False)


def _clipped() -> Pipeline:
    """Medians for the missing; held within the training range; standardised."""
    return make_pipeline(
        SimpleImputer(strategy="median"), MinMaxScaler(clip=True), StandardScaler()
    )


def _is_known() -> Pipeline:
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=_UNKNOWN), Binarizer(threshold=_UNKNOWN / 2)
    )


def _one_hot(table: FeatureSet, columns: Sequence[int]) -> tuple[str, Pipeline, list[int]]:
    """One column for every level of each choice, boolean and small integer; none for missing."""
    levels = [_levels(table, column) for column in columns]
    pipeline = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=_UNKNOWN),
        OneHotEncoder(categories=levels, handle_unknown="ignore", sparse_output=False),
    )
    return "levels", pipeline, list(columns)


def _levels(table: FeatureSet, column: int) -> list[float]:
    item = table.features[column]
    if item.kind == "choice":
        return [float(code) for code in range(len(item.levels))]
    if item.kind == "boolean":
        return [0.0, 1.0]
    if item.low is None or item.high is None:
        raise ValueError(f"{item.name} has no levels")
    return [float(code) for code in range(int(item.low), int(item.high) + 1)]
