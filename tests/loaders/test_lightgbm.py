"""LightGBM models load from LightGBM's own text."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest

from loadonce.errors import LoaderFailedError
from loadonce.loaders import find

DATA = np.arange(80.0).reshape(40, 2)


def test_boosters_load_from_text_and_from_a_path(shelf: Any) -> None:
    model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=1).fit(DATA, DATA[:, 0])
    shelf.put("m.lgb", model.booster_.model_to_string().encode())
    source = shelf.locked("m.lgb")
    loader = find(None, "m.lgb")
    loaded: Any = loader.load(source)
    assert np.allclose(loaded.predict(DATA), model.predict(DATA))
    by_path = lightgbm.Booster(model_file=source)
    assert np.allclose(by_path.predict(DATA), model.predict(DATA))
    assert loader.memory_estimate(source) == 2 * source.size


def test_what_is_no_model_is_refused(shelf: Any) -> None:
    shelf.put("m.lgb", b"\xff")
    with pytest.raises(LoaderFailedError):
        shelf.load("m.lgb")
