"""The feature table: names, codes and the array the pipelines take."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vitalcheck.features import FEATURES, HEART, SLEEP, Feature, encode


@pytest.mark.parametrize("model", FEATURES)
def test_names_are_unique_and_examples_are_allowed_values(model: str) -> None:
    """Each set has distinct names, and its example row lies within its own ranges and levels."""
    table = FEATURES[model]
    assert len(set(table.names)) == len(table) == len(table.features)
    for feature in table.features:
        assert feature.meaning
        code = feature.code(feature.example)
        if feature.kind == "choice":
            assert 0 <= code < len(feature.levels)
        elif feature.kind != "boolean":
            assert not feature.levels
            assert feature.low is None or feature.low <= code
            assert feature.high is None or code <= feature.high


@pytest.mark.parametrize("model", FEATURES)
def test_a_row_survives_the_way_there_and_back(model: str) -> None:
    """Decoding an encoded example gives the example."""
    table = FEATURES[model]
    codes = encode(model, [table.example])
    assert codes.shape == (1, len(table))
    assert codes.dtype == np.float64
    assert table.decode(codes[0]) == table.example


def test_missing_and_unknown_names() -> None:
    """None and absent are NaN; names of no feature are ignored; no rows give an empty array."""
    codes = HEART.encode(
        [{"age": 40, "sex": "male", "chest_pain": "none", "vessels": None, "site": 1}]
    )
    assert codes[0, HEART.index["sex"]] == 0
    assert codes[0, HEART.index["chest_pain"]] == 3
    assert math.isnan(codes[0, HEART.index["vessels"]])
    assert math.isnan(codes[0, HEART.index["thalassemia"]])
    assert HEART.decode(codes[0])["vessels"] is None
    assert HEART.encode([]).shape == (0, 13)


def test_an_unknown_level_is_refused_without_repeating_it() -> None:
    """The error names the feature and its levels, never the submitted value."""
    with pytest.raises(ValueError, match="smoker must be one of: never, former, current") as caught:
        SLEEP.encode([{"smoker": "hookah"}])
    assert "hookah" not in str(caught.value)
    with pytest.raises(ValueError, match="age must be one of: numbers"):
        SLEEP["age"].code("old")


def test_kinds_select_columns() -> None:
    """columns() gives the numbers of the columns of the kinds asked for."""
    assert SLEEP.columns("choice") == [1, 7, 11, 12]
    assert SLEEP.columns("boolean") == [6]
    assert SLEEP["smoker"].levels == ("never", "former", "current")
    assert isinstance(SLEEP.features[0], Feature)
