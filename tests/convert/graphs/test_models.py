"""Classifiers and regressors of scikit-learn answer as their graphs do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from loadonce.convert.graphs import build

from . import data
from .comparing import compared

EXACT = 1e-9

CLASSIFIERS = {
    "logistic": LogisticRegression(),
    "ridge": RidgeClassifier(),
    "linear svc": LinearSVC(random_state=0),
    "sgd": SGDClassifier(loss="log_loss", random_state=0),
    "sgd hinge": SGDClassifier(random_state=0),
    "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
    "leaf": DecisionTreeClassifier(max_depth=1, min_samples_leaf=80, random_state=0),
    "forest": RandomForestClassifier(8, random_state=0),
    "many flat trees": RandomForestClassifier(50, max_depth=2, random_state=0),
    "flat forest": RandomForestClassifier(7, max_depth=3, random_state=0),
    "extra trees": ExtraTreesClassifier(6, max_depth=5, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=8, random_state=0),
    "boosting from zero": GradientBoostingClassifier(n_estimators=4, init="zero", random_state=0),
    "boosting exponential": GradientBoostingClassifier(
        loss="exponential", n_estimators=4, random_state=0
    ),
    "histogram": HistGradientBoostingClassifier(max_iter=6, min_samples_leaf=5),
    "votes": VotingClassifier(
        [
            ("linear", make_pipeline(StandardScaler(), LinearSVC(random_state=0))),
            ("tree", DecisionTreeClassifier(max_depth=3, random_state=0)),
            ("bayes", GaussianNB()),
        ],
        weights=[2, 1, 1.5],
    ),
    "bayes": GaussianNB(),
    "perceptron": make_pipeline(StandardScaler(), MLPClassifier([5], max_iter=20, random_state=0)),
    "perceptron identity": make_pipeline(
        StandardScaler(), MLPClassifier([4], activation="identity", max_iter=9, random_state=0)
    ),
    "discriminant": LinearDiscriminantAnalysis(),
    "svc": make_pipeline(StandardScaler(), SVC()),
    "svc linear": make_pipeline(StandardScaler(), SVC(kernel="linear")),
    "svc poly": make_pipeline(StandardScaler(), SVC(kernel="poly", break_ties=True)),
    "svc sigmoid": make_pipeline(
        StandardScaler(), NuSVC(kernel="sigmoid", nu=0.2, decision_function_shape="ovo")
    ),
    "neighbours": KNeighborsClassifier(),
    "neighbours brute": KNeighborsClassifier(3, algorithm="brute", p=1),
    "neighbours by distance": KNeighborsClassifier(4, weights="distance"),
    "search": GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
    "frozen": FrozenEstimator(LogisticRegression()),
    "calibrated": CalibratedClassifierCV(RandomForestClassifier(4, random_state=0), cv=2),
    "calibrated margin": CalibratedClassifierCV(
        make_pipeline(StandardScaler(), LinearSVC(random_state=0)), cv=2
    ),
    "calibrated isotonic": CalibratedClassifierCV(
        RandomForestClassifier(4, random_state=0), method="isotonic", cv=3
    ),
    "calibrated together": CalibratedClassifierCV(
        DecisionTreeClassifier(max_depth=2, random_state=0), ensemble=False, cv=2
    ),
    "stacking": StackingClassifier(
        [
            ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
            ("svc", make_pipeline(StandardScaler(), SVC())),
            ("tree", DecisionTreeClassifier(max_depth=3, random_state=0)),
        ],
        cv=2,
    ),
    "bare stacking": StackingClassifier(
        [("margin", make_pipeline(SimpleImputer(), StandardScaler(), SVC(kernel="linear")))],
        LogisticRegression(),
        cv=2,
    ),
    "bare votes": VotingClassifier(
        [("a", make_pipeline(SimpleImputer(), DecisionTreeClassifier(max_depth=2)))]
    ),
    "stacking and columns": StackingClassifier(
        [("bayes", GaussianNB()), ("gone", "drop")],
        DecisionTreeClassifier(max_depth=4, random_state=0),
        passthrough=True,
        cv=2,
    ),
    "voting": VotingClassifier(
        [
            ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
            ("tree", DecisionTreeClassifier(max_depth=3, random_state=0)),
        ],
        voting="soft",
        weights=[1, 2],
    ),
}
REGRESSORS = {
    "linear": LinearRegression(),
    "ridge": Ridge(),
    "elastic net": ElasticNet(),
    "quantile": QuantileRegressor(alpha=0.01),
    "linear svr": LinearSVR(random_state=0),
    "poisson": PoissonRegressor(),
    "gamma": GammaRegressor(),
    "tweedie": TweedieRegressor(power=1.5),
    "tweedie identity": TweedieRegressor(power=0, link="identity"),
    "svr": make_pipeline(StandardScaler(), SVR(C=50.0)),
    "nu svr": make_pipeline(StandardScaler(), NuSVR(kernel="poly")),
    "neighbours": KNeighborsRegressor(3),
    "neighbours by distance": KNeighborsRegressor(3, weights="distance", metric="manhattan"),
    "perceptron": make_pipeline(
        StandardScaler(),
        MLPRegressor(hidden_layer_sizes=[4, 3], activation="logistic", max_iter=9, random_state=0),
    ),
    "search": GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2),
    "frozen": FrozenEstimator(Ridge()),
    "log target": TransformedTargetRegressor(
        LinearRegression(), func=np.log1p, inverse_func=np.expm1
    ),
    "scaled target": TransformedTargetRegressor(Ridge(), transformer=StandardScaler()),
    "bounded target": TransformedTargetRegressor(Ridge(), transformer=MinMaxScaler()),
    "robust target": TransformedTargetRegressor(Ridge(), transformer=RobustScaler()),
    "centered target": TransformedTargetRegressor(
        Ridge(), transformer=RobustScaler(with_centering=False)
    ),
    "same target": TransformedTargetRegressor(Ridge()),
    "stacking": StackingRegressor(
        [("linear", Ridge()), ("tree", DecisionTreeRegressor(max_depth=3, random_state=0))],
        RandomForestRegressor(3, random_state=0),
        cv=2,
    ),
    "tree": DecisionTreeRegressor(max_depth=5, random_state=0),
    "forest": RandomForestRegressor(6, random_state=0),
    "extra trees": ExtraTreesRegressor(5, random_state=0),
    "boosting": GradientBoostingRegressor(n_estimators=9, random_state=0),
    "boosting quantile": GradientBoostingRegressor(
        loss="quantile", alpha=0.9, n_estimators=5, random_state=0
    ),
    "histogram": HistGradientBoostingRegressor(max_iter=8, min_samples_leaf=5),
    "histogram poisson": HistGradientBoostingRegressor(loss="poisson", max_iter=5),
    "histogram gamma": HistGradientBoostingRegressor(loss="gamma", max_iter=5),
    "histogram quantile": HistGradientBoostingRegressor(loss="quantile", quantile=0.9, max_iter=5),
    "voting": VotingRegressor([("linear", LinearRegression()), ("ridge", Ridge())]),
}


def fitted(estimator: Any, rows: Any, target: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(estimator, FrozenEstimator):
            estimator.estimator.fit(rows, target)
        return estimator.fit(rows, target)


@pytest.mark.parametrize("classes", [data.two, data.three])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_and_its_graph_agree(name: str, classes: Any) -> None:
    """Labels are equal, probabilities to the last digits; what is refused is NaN."""
    if name == "boosting exponential" and classes is data.three:
        pytest.skip("two classes only")
    rows = data.numbers()
    found = compared(fitted(CLASSIFIERS[name], rows, classes()), rows)
    assert (found.labels, found.answered) == (0, 0)
    assert found.difference < EXACT
    assert found.rows > len(rows)


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor_and_its_graph_agree(name: str) -> None:
    """Values are equal to the last digits; what is refused is NaN."""
    rows = data.numbers()
    found = compared(fitted(REGRESSORS[name], rows / 10, data.amounts()), rows / 10)
    assert found.answered == 0
    assert found.difference < EXACT
    assert found.rows > len(rows)


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier(max_depth=5, random_state=0),
        RandomForestClassifier(5, random_state=0),
        HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_trees_trained_with_gaps_send_the_missing_their_way(estimator: Any) -> None:
    rows = data.numbers(missing=0.2)
    found = compared(fitted(estimator, rows, data.three()), rows)
    assert (found.labels, found.refused) == (0, 0)
    assert found.difference < EXACT


def test_histogram_boosting_knows_categories() -> None:
    """Known ones by sets, unknown ones and the missing by the way of the missing."""
    rows = data.frame()
    model = HistGradientBoostingRegressor(
        categorical_features=["city", "plan", "visits"], max_iter=12, min_samples_leaf=3
    )
    found = compared(fitted(model, rows, data.amounts() * (rows["city"] == "Chur")), rows)
    assert found.refused == 0
    assert found.difference < EXACT


def test_only_the_missing_can_go_left() -> None:
    """A set of no categories."""
    rows = data.frame(missing=0.4)
    model = HistGradientBoostingRegressor(
        categorical_features=["city", "plan"], max_iter=3, min_samples_leaf=3
    )
    found = compared(fitted(model, rows, 1.0 * rows["city"].isna()), rows)
    assert found.refused == 0
    assert found.difference < EXACT


@pytest.mark.parametrize("values", [[0, 1], [1, 2], [False, True], [0.0, 3.0], ["no", "yes"]])
def test_labels_are_the_classes_themselves(values: list[Any]) -> None:
    rows = data.numbers()
    model = LogisticRegression().fit(rows, np.asarray(values)[data.two()])
    assert compared(model, rows).labels == 0


@pytest.mark.parametrize("name", ["calibrated isotonic", "stacking", "votes"])
def test_nothing_is_refused_where_nothing_can_lack(name: str) -> None:
    rows = data.numbers(missing=0.1)
    model = fitted(make_pipeline(SimpleImputer(), CLASSIFIERS[name]), rows, data.two())
    found = compared(model, rows)
    assert (found.labels, found.refused) == (0, 0)
    assert found.difference < EXACT


def test_isotonic_calibration_of_one_point_is_level() -> None:
    rows = data.numbers()
    flat = DecisionTreeClassifier(max_depth=1, min_samples_leaf=59, random_state=0)
    model = fitted(CalibratedClassifierCV(flat, method="isotonic", cv=2), rows, data.two())
    assert compared(model, rows).difference < EXACT


def test_a_forest_of_whole_numbers_adds_in_single_precision() -> None:
    """Which is exact, faster and smaller."""
    rows = data.numbers(missing=0.1)
    model = fitted(RandomForestRegressor(5, max_features=1, random_state=0), rows, data.two())
    graph = build(model, None)
    (trees,) = [node for node in graph.model.graph.node if node.op_type == "TreeEnsemble"]
    (leaves,) = [each.t for each in trees.attribute if each.name == "leaf_weights"]
    assert leaves.data_type == onnx.TensorProto.FLOAT
    assert compared(model, rows, graph).difference == 0.0
