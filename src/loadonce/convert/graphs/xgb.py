"""XGBoost: float32 throughout."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Columns
from loadonce.convert.graphs.ensembles import BELOW, Tree, added, constant, traced
from loadonce.convert.graphs.scope import Classified, Scope
from loadonce.convert.graphs.scoring import expit, from_probabilities

IDENTITY, EXPONENTIAL, LOGISTIC = "identity", "exponential", "logistic"
LINKS = {
    "reg:squarederror": IDENTITY,
    "reg:squaredlogerror": IDENTITY,
    "reg:absoluteerror": IDENTITY,
    "reg:pseudohubererror": IDENTITY,
    "reg:quantileerror": IDENTITY,
    "reg:logistic": LOGISTIC,
    "binary:logistic": LOGISTIC,
    "count:poisson": EXPONENTIAL,
    "reg:gamma": EXPONENTIAL,
    "reg:tweedie": EXPONENTIAL,
    "multi:softprob": IDENTITY,
}


def classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """Two classes by the logistic function, more by softmax; rounded to float32."""
    g = scope.g
    raw, link, classes = _sums(scope, estimator, columns)
    if classes > 2:
        shares = g.op("Softmax", raw, axis=1)
        return from_probabilities(scope, _single(scope, shares))
    if link != LOGISTIC:
        raise scope.refusal("its objective gives no probabilities")
    share = g.cast(g.op("Sigmoid", raw), "float")
    rest = g.op("Sub", g.constant(np.float32(1)), share)
    return from_probabilities(scope, g.cast(g.concat([rest, share]), "double"))


def regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The sum through its objective's link, rounded to float32."""
    raw, link, _ = _sums(scope, estimator, columns)
    if link == LOGISTIC:
        return _single(scope, expit(scope, raw))
    return _single(scope, scope.g.op("Exp", raw)) if link == EXPONENTIAL else raw


def _single(scope: Scope, found: str) -> str:
    return scope.g.cast(scope.g.cast(found, "float"), "double")


def _sums(scope: Scope, estimator: Any, columns: Columns) -> tuple[str, str, int]:
    """The sums, as doubles that were added as float32; the link; how many classes."""
    if estimator.missing is not None and not math.isnan(estimator.missing):
        raise scope.refusal(f"missing={estimator.missing} has no conversion")
    booster = estimator.get_booster()
    learner = json.loads(booster.save_raw("json"))["learner"]
    objective, model = learner["objective"]["name"], learner["gradient_booster"].get("model")
    if learner["gradient_booster"]["name"] != "gbtree" or objective not in LINKS:
        name = learner["gradient_booster"]["name"]
        raise scope.refusal(f"booster {name} with objective {objective} has no conversion")
    if int(learner["learner_model_param"]["num_target"]) > 1:
        raise scope.refusal("it has several outputs")
    if any(any(tree["split_type"]) for tree in model["trees"]) or model["cats"]["enc"]:
        raise scope.refusal("its categories have no conversion")
    link = LINKS[objective]
    start = _start(learner["learner_model_param"], link)
    used = model["trees"][: model["iteration_indptr"][_rounds(estimator, model)]]
    trees = [constant(target, value) for target, value in enumerate(start)]
    trees += [_tree(t, k) for t, k in zip(used, model["tree_info"], strict=False)]
    traced(scope, columns, trees)
    source = scope.g.cast(scope.numbers(columns), "float")
    found = added(scope.g, source, columns, trees, len(start), np.float32)
    return scope.g.cast(found, "double"), link, max(2, len(start))


def _rounds(estimator: Any, model: Any) -> int:
    """How many rounds of boosting answer: up to the best, where training stopped early."""
    try:
        return int(estimator.best_iteration) + 1
    except AttributeError:
        return len(model["iteration_indptr"]) - 1


def _start(parameters: Any, link: str) -> list[float]:
    """Where the sums start, through the link, in float32."""
    base = np.asarray(json.loads(parameters["base_score"]), dtype=np.float32).ravel()
    base = np.broadcast_to(base, max(1, int(parameters["num_class"])))
    one = np.float32(1)
    if link == LOGISTIC:
        base = -np.log(one / base - one)
    elif link == EXPONENTIAL:
        base = np.log(base)
    return [float(each) for each in base]


def _tree(tree: Any, target: int) -> Tree:
    splits = np.asarray(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    return Tree(
        target,
        np.asarray(tree["left_children"]),
        np.asarray(tree["right_children"]),
        np.asarray(tree["split_indices"]),
        splits,
        np.asarray(tree["default_left"]).astype(bool),
        splits,  # a leaf's value is where an inner node has its split
        mode=BELOW,
    )


CLASSIFIERS = {"xgboost.XGBClassifier": classifier, "xgboost.XGBRFClassifier": classifier}
REGRESSORS = {"xgboost.XGBRegressor": regressor, "xgboost.XGBRFRegressor": regressor}
