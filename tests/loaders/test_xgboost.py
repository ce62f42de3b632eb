"""XGBoost models load from XGBoost's own formats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xgboost

from loadonce.errors import ConfigurationError, LoaderFailedError

DATA = np.arange(80.0).reshape(40, 2)


@pytest.fixture(scope="module")
def model() -> Any:
    return xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(DATA, [0, 1] * 20)


@pytest.mark.parametrize("kind", ["ubj", "json"])
def test_boosters_and_classifiers_load(shelf: Any, model: Any, kind: str) -> None:
    shelf.put("m.ubj", bytes(model.get_booster().save_raw(kind)))
    booster = shelf.load("m.ubj")
    assert isinstance(booster, xgboost.Booster)
    assert np.allclose(booster.predict(xgboost.DMatrix(DATA)), model.predict_proba(DATA)[:, 1])
    classifier = shelf.load("m.ubj", as_="classifier", threads=2)
    assert (classifier.predict_proba(DATA) == model.predict_proba(DATA)).all()
    assert classifier.n_jobs == 2


def test_other_kinds_and_other_formats_are_refused(shelf: Any, model: Any) -> None:
    shelf.put("m.ubj", bytes(model.get_booster().save_raw("ubj")))
    with pytest.raises(ConfigurationError, match="booster, classifier, regressor, ranker"):
        shelf.load("m.ubj", as_="forest")
    for content in (b"neither json nor ubj", b"", b"{"):
        shelf.put("m.ubj", content)
        with pytest.raises(LoaderFailedError):
            shelf.load("m.ubj")
