"""skops files construct only what skops trusts and what their lock entry lists."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import FunctionTransformer

from loadonce.errors import LoaderFailedError, UntrustedGlobalError
from loadonce.loaders import find

DATA = np.arange(40.0).reshape(20, 2)


def test_a_forest_loads_with_the_types_its_lock_lists(shelf: Any) -> None:
    model = RandomForestClassifier(3).fit(DATA, [0, 1] * 10)
    shelf.put("m.skops", skops.io.dumps(model))
    source = shelf.locked("m.skops")
    assert source.entry.globals == ("sklearn.tree._tree.Tree",)
    assert "skops" in source.entry.libraries
    loaded: Any = find(None, "m.skops").load(source)
    assert (loaded.predict(DATA) == model.predict(DATA)).all()
    assert find(None, "m.skops").memory_estimate(source) == 4 * source.size


def test_a_lock_that_does_not_list_a_type_stops_the_load(shelf: Any) -> None:
    shelf.put("m.skops", skops.io.dumps(RandomForestClassifier(3).fit(DATA, [0, 1] * 10)))
    with pytest.raises(LoaderFailedError, match=r"sklearn\.tree\._tree\.Tree"):
        find(None, "m.skops").load(shelf.vouched("m.skops", "skops"))


def test_lock_refuses_functions_it_does_not_know(shelf: Any) -> None:
    shelf.put("m.skops", skops.io.dumps(FunctionTransformer(os.getpid)))
    with pytest.raises(UntrustedGlobalError, match=r"posix\.getpid"):
        shelf.locked("m.skops")
