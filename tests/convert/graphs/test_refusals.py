"""What has no exact graph is refused: the step, its class and the reason are named."""

from __future__ import annotations

import datetime
import re
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.metrics.pairwise import linear_kernel
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from loadonce.convert.graphs import build, neighbours, trees
from loadonce.convert.model import Unconvertible

from . import data
from .comparing import compared
from .test_models import fitted


class Doubling(StandardScaler):  # type: ignore[misc]
    """A scaler that does something else."""

    def transform(self, X: Any, copy: Any = None) -> Any:
        return 2 * super().transform(X, copy)


class Renamed(StandardScaler):  # type: ignore[misc]
    """The same scaler under another name."""

    def __init__(self, with_mean: bool = True) -> None:
        super().__init__(with_mean=with_mean)


def refuses(
    reason: str, estimator: Any, rows: Any = None, target: Any = None, **options: Any
) -> None:
    rows = data.numbers() if rows is None else rows
    model = fitted(estimator, rows, data.two() if target is None else target)
    with pytest.raises(Unconvertible, match=re.escape(reason)):
        build(model, options.pop("feature_names", None), **options)


def test_the_step_and_its_class_are_named() -> None:
    steps = make_pipeline(StandardScaler(), KNNImputer(), LogisticRegression())
    reason = "Pipeline > step 'knnimputer' (KNNImputer): there is no conversion for this class"
    refuses(reason, steps)


def test_a_subclass_that_answers_otherwise_is_no_parent() -> None:
    reason = "step 'doubling' (Doubling): it is a StandardScaler of its own making: transform"
    refuses(reason, make_pipeline(Doubling(), LogisticRegression()))


def test_an_instance_with_a_method_of_its_own_is_no_parent() -> None:
    scaler = StandardScaler()
    model = make_pipeline(scaler, LogisticRegression()).fit(data.numbers(), data.two())
    scaler.transform = lambda X: X
    with pytest.raises(Unconvertible, match="of its own making: transform"):
        build(model, None)


def test_a_subclass_that_answers_alike_is_its_parent() -> None:
    """The control."""
    rows = data.numbers()
    model = make_pipeline(Renamed(), LogisticRegression()).fit(rows, data.two())
    assert compared(model, rows).labels == 0


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (KMeans(2), "it is neither a classifier nor a regressor"),
        (object(), "object: it is neither a classifier nor a regressor"),
    ],
)
def test_only_what_predicts_is_converted(estimator: Any, reason: str) -> None:
    if hasattr(estimator, "fit"):
        estimator.fit(data.numbers())
    with pytest.raises(Unconvertible, match=reason):
        build(estimator, None)


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (SGDClassifier(loss="modified_huber"), "loss='modified_huber'"),
        (
            VotingClassifier([("a", RidgeClassifier())], voting="soft"),
            "member 'a' gives no probabilities",
        ),
        (SVC(probability=True), "probability=True"),
        (make_pipeline(StandardScaler(), SVC(kernel=linear_kernel)), "a kernel of one's own"),
        (KNeighborsClassifier(weights=np.exp), "weights of one's own"),
        (KNeighborsClassifier(metric="chebyshev"), "metric='chebyshev'"),
        (CalibratedClassifierCV(LinearSVC(), method="temperature", cv=2), "method='temperature'"),
        (
            TransformedTargetRegressor(Ridge(), transformer=MaxAbsScaler()),
            "the inverse of its MaxAbsScaler",
        ),
        (
            StackingClassifier([("a", LinearSVC())], stack_method="predict", cv=2),
            "member 'a' answers by predict",
        ),
        (make_pipeline(FunctionTransformer(np.sin), Ridge()), "its function 'sin' is not known"),
        (
            make_pipeline(FunctionTransformer(np.clip, kw_args={"min": 0, "max": 1}), Ridge()),
            "its function takes arguments",
        ),
        (GradientBoostingRegressor(init=Ridge(), n_estimators=2), "it starts from a Ridge"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_known_is_refused(estimator: Any, reason: str) -> None:
    refuses(reason, estimator)


@pytest.mark.parametrize(
    "estimator",
    [Ridge(), RandomForestRegressor(2), KNeighborsRegressor(), MLPRegressor(max_iter=2)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_several_outputs_are_refused(estimator: Any) -> None:
    refuses("several outputs", estimator, target=data.numbers(2, seed=3))


def test_several_labels_are_refused() -> None:
    labels = np.column_stack([data.two(), data.two(seed=5)])
    refuses("several outputs", RandomForestClassifier(2), target=labels)
    refuses("several outputs", RidgeClassifier(), target=labels)
    refuses("several outputs", KNeighborsClassifier(), target=labels)
    refuses("several outputs", MLPClassifier(max_iter=2), target=labels)


def test_a_machine_of_a_sparse_matrix_is_refused() -> None:
    refuses("it was trained on a sparse matrix", SVC(), csr_matrix(data.numbers()))


def test_neighbours_of_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "MOST_VALUES", 100)
    refuses("it compares every row with 480 values", KNeighborsClassifier())


def test_more_leaves_than_can_be_numbered_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "_MOST_LEAVES", 1)
    refuses("leaves", RandomForestClassifier(2), target=data.three())


def test_calibration_on_other_classes_is_refused() -> None:
    model = fitted(CalibratedClassifierCV(LinearSVC(), cv=2), data.numbers(), data.three())
    model.calibrated_classifiers_[0].estimator.classes_ = np.asarray(["high", "low"])
    with pytest.raises(Unconvertible, match="one of its classifiers saw other classes"):
        build(model, None)


def test_what_is_not_fitted_is_refused() -> None:
    with pytest.raises(Unconvertible, match="Ridge: it does not tell its number of features"):
        build(Ridge(), None)


class Ratio(TransformerMixin, BaseEstimator):  # type: ignore[misc,unused-ignore]
    """A step of an app's own, which does not tell what it was fitted to."""

    def fit(self, rows: object, target: object = None) -> Ratio:
        return self

    def transform(self, rows: object) -> object:
        return rows

    def __sklearn_is_fitted__(self) -> bool:
        return True


def test_a_class_of_ones_own_at_the_start_of_a_pipeline_is_named() -> None:
    inner = make_pipeline(Ratio(), StandardScaler())
    model = make_pipeline(inner, Ridge()).fit(data.numbers(), data.amounts())
    with pytest.raises(Unconvertible, match=r"test_refusals\.Ratio has no graph"):
        build(model, None)


def test_what_another_release_made_otherwise_is_refused() -> None:
    """A fitted attribute that is not there is a reason, not a crash."""
    model = make_pipeline(StandardScaler(), Ridge()).fit(data.numbers(), data.amounts())
    del model[0].mean_
    with pytest.raises(Unconvertible, match=r"'standardscaler'.*AttributeError.*mean_"):
        build(model, None)


def test_odd_classes_are_refused() -> None:
    model = LogisticRegression().fit(data.numbers(), data.two())
    model.classes_ = np.asarray(["2020-01-01", "2021-01-01"], dtype="datetime64[D]")
    with pytest.raises(Unconvertible, match="neither numbers nor texts"):
        build(model, None)


def test_a_link_that_is_not_known_is_refused() -> None:
    model = HistGradientBoostingRegressor(max_iter=1).fit(data.numbers(), data.amounts())
    model._loss.link = object()
    with pytest.raises(Unconvertible, match="its link object has no conversion"):
        build(model, None)


def test_a_feature_is_text_or_a_number() -> None:
    rows = data.frame(missing=0)
    columns = ColumnTransformer([("a", OneHotEncoder(), ["plan"]), ("b", "passthrough", ["age"])])
    reason = "feature 'age' is used both as text and as a number"
    refuses(reason, make_pipeline(columns, LinearRegression()), rows, text=["age"])


def test_a_model_of_no_columns_is_refused() -> None:
    columns = ColumnTransformer([("a", FunctionTransformer(), [])], remainder="drop")
    scaler = StandardScaler().fit(data.numbers())
    columns.fit(data.numbers())
    with pytest.raises(Unconvertible, match="it is given no columns"):
        build(Pipeline([("a", columns), ("b", scaler), ("c", Ridge())]), None)


@pytest.mark.parametrize(
    "step", [OneHotEncoder(), SimpleImputer(strategy="most_frequent")], ids=["encoder", "imputer"]
)
def test_texts_that_a_step_made_are_refused(step: Any) -> None:
    """Only texts as they were sent can be looked up."""
    scaler = StandardScaler().fit(data.numbers(2))
    step.fit(data.frame(missing=0)[["city", "plan"]].to_numpy())
    model = Pipeline([("a", scaler), ("b", step), ("c", Ridge())])
    with pytest.raises(Unconvertible, match="texts that an earlier step made"):
        build(model, None)


def test_categories_of_another_kind_are_refused() -> None:
    days = np.asarray([[datetime.date(2020, 1, 1)], [datetime.date(2021, 1, 1)]] * 4, dtype=object)
    model = make_pipeline(OneHotEncoder(), Ridge())
    refuses("neither texts nor numbers", model, days, np.arange(8.0))


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a", "b", "c"], "3 feature names were given for 4 features"),
        (["a", "b", "c", "a"], "two features have the same name"),
    ],
)
def test_names_have_to_fit(names: list[str], reason: str) -> None:
    refuses(reason, Ridge(), feature_names=names)
