"""Several estimators, one answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from loadonce.convert.graphs.columns import Columns, lacks
from loadonce.convert.graphs.scope import Classified, Scope
from loadonce.convert.graphs.scoring import from_probabilities, place


def voting_classifier(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    """The mean of the probabilities, or the class that most choose."""
    if estimator.voting == "hard":
        return _by_votes(scope, estimator, columns)
    parts = []
    for name, each in _members(estimator):
        found = scope.classify(name, each, columns).probabilities
        if found is None:
            raise scope.refusal(f"{name} gives no probabilities")
        parts.append(found)
    return from_probabilities(scope, mean(scope, parts, estimator._weights_not_none))


def voting_regressor(scope: Scope, estimator: Any, columns: Columns) -> str:
    """The mean of the values."""
    parts = [scope.regress(name, each, columns) for name, each in _members(estimator)]
    return mean(scope, parts, estimator._weights_not_none)


def mean(scope: Scope, parts: list[str], weights: Any = None) -> str:
    """The mean of tensors of the same shape, weighted if asked."""
    g = scope.g
    if weights is not None:
        parts = [
            g.op("Mul", part, g.numbers(weight))
            for part, weight in zip(parts, weights, strict=True)
        ]
    total = parts[0]
    for part in parts[1:]:
        total = g.op("Add", total, part)
    return g.op("Div", total, g.numbers(float(len(parts) if weights is None else np.sum(weights))))


def _by_votes(scope: Scope, estimator: Any, columns: Columns) -> Classified:
    g = scope.g
    places = g.integers(*range(len(estimator.classes_)))
    weights = estimator._weights_not_none
    votes = ""
    for i, (name, each) in enumerate(_members(estimator)):
        found = scope.classify(name, each, columns)
        if lacks(columns):
            scope.refuse_nan(found.decision or str(found.probabilities), len(estimator.classes_))
        chosen = g.op("Unsqueeze", place(scope, found), g.integers(1))
        vote = g.cast(g.op("Equal", chosen, places), "double")
        if weights is not None:
            vote = g.op("Mul", vote, g.numbers(float(weights[i])))
        votes = g.op("Add", votes, vote) if votes else vote
    return Classified(votes, None, votes)


def _members(estimator: Any) -> list[tuple[str, Any]]:
    names = [name for name, each in estimator.estimators if not isinstance(each, str)]
    return list(zip((f"member '{n}'" for n in names), estimator.estimators_, strict=True))


CLASSIFIERS = {"sklearn.VotingClassifier": voting_classifier}
REGRESSORS = {"sklearn.VotingRegressor": voting_regressor}
