"""No estimator of a worker starts jobs of its own; its answers stay the same."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from loadonce.server.workers.native_jobs import run_jobs_alone

X = np.arange(40.0).reshape(20, 2)
Y = np.arange(20) % 2


def test_every_estimator_is_found_wherever_it_is() -> None:
    forest = RandomForestClassifier(n_estimators=3, n_jobs=-1, random_state=0)
    voting = VotingClassifier([("a", forest), ("b", LogisticRegression())], voting="soft")
    pipeline = make_pipeline(voting).fit(X, Y)
    before = pipeline.predict_proba(X)
    value = {"models": [pipeline, (forest, forest)], "other": "text", "class": LogisticRegression}
    assert run_jobs_alone(value) == 2  # the one given, and the one fitted from it
    assert pipeline.steps[0][1].estimators_[0].n_jobs == 1
    np.testing.assert_array_equal(pipeline.predict_proba(X), before)
    assert run_jobs_alone(value) == 0


def test_what_is_nested_deeper_than_python_calls_is_looked_through() -> None:
    forest = RandomForestClassifier(n_jobs=2)
    value: object = forest
    for _ in range(5_000):
        value = ({"inner": value},)
    assert run_jobs_alone(value) == 1
    assert forest.n_jobs == 1
    while isinstance(value, tuple):  # else its end is as deep
        value = value[0].pop("inner")
