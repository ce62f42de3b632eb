"""Rows of every kind become the same arrays; what does not fit is told without its values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from loadonce.errors import InvalidRowsError, LoadOnceError
from loadonce.loaders.rows import InputArrays
from loadonce.loaders.signature import Refused, Signature
from loadonce.loaders.values import MISSING_TEXT

SECRET = "s3cret"


def signature(
    numbers: Sequence[str],
    texts: Sequence[str] = (),
    *,
    is_named: bool = True,
    missing: Sequence[str] = (),
    infinite: Sequence[str] | None = None,
) -> Signature:
    return Signature(
        "regressor",
        (*numbers, *texts),
        tuple(numbers),
        tuple(texts),
        is_named,
        (),
        "object",
        "float64",
        Refused(frozenset(missing), frozenset(numbers if infinite is None else infinite)),
    )


PERSON = InputArrays(signature(["age", "bmi"], ["sex"]))
NUMBERS = InputArrays(signature(["a", "b"]))
NAMELESS = InputArrays(signature(["0", "1"], is_named=False))


class Sex(StrEnum):
    FEMALE = "female"
    MALE = "male"


class Colour(Enum):
    RED = "red"


class Grade(IntEnum):
    GOOD = 3


class Half(Enum):
    """Its values are numbers, itself is none."""

    HALF = 0.5


class Person(BaseModel):
    sex: Sex | None = None
    bmi: float | None
    age: int


class Aliased(BaseModel):
    model_config = ConfigDict(validate_by_name=True)

    years: int = Field(alias="age")
    index: float = Field(serialization_alias="bmi")
    sex: str


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Computed(BaseModel):
    sex: str
    age: int
    weight: float

    @property
    def bmi(self) -> float:
        return self.weight / 4


@dataclass
class Plain:
    bmi: float
    age: int
    sex: str


class Triple(NamedTuple):
    age: int
    bmi: float
    sex: str


def shown(inputs: dict[str, Any]) -> dict[str, list[Any]]:
    """By feature; NaN as None."""
    for array in inputs.values():
        assert array.shape[1:] == (1,)
        assert array.flags.c_contiguous
        assert array.dtype in (np.dtype(float), np.dtype(object))
        assert array.dtype == float or {type(each) for each in array.ravel()} == {str}
    return {
        name: [None if each != each else each for each in array.ravel().tolist()]
        for name, array in inputs.items()
    }


@pytest.mark.parametrize(
    "row",
    [
        {"sex": "female", "age": 36, "bmi": 31.5, "id": SECRET},
        MappingProxyType({"sex": "female", "age": 36, "bmi": 31.5}),
        Person(sex=Sex.FEMALE, age=36, bmi=31.5),
        Aliased(age=36, index=31.5, sex="female"),
        Open(age=36, bmi=31.5, sex="female"),  # type: ignore[call-arg]
        Computed(age=36, weight=126, sex="female"),
        Plain(31.5, 36, "female"),
        Triple(36, 31.5, "female"),
        (36, 31.5, "female"),
        [Decimal(36), np.float32(31.5), np.str_("female")],
        np.array([36, 31.5, "female"], dtype=object),
    ],
)
def test_a_row_of_any_kind_gives_the_same_inputs(row: object) -> None:
    """By name in any order, by position in that of training; what is no feature is ignored."""
    expected: dict[str, list[Any]] = {"age": [36.0], "bmi": [31.5], "sex": ["female"]}
    assert shown(PERSON([row])) == expected
    assert shown(PERSON((row, row))) == {name: both * 2 for name, both in expected.items()}


def test_rows_of_several_kinds_come_together() -> None:
    inputs = PERSON([{"age": 1, "bmi": 2, "sex": "a"}, (3, 4, "b"), Plain(6, 5, "c")])
    assert shown(inputs) == {"age": [1, 3, 5], "bmi": [2, 4, 6], "sex": ["a", "b", "c"]}


TABLE = {"id": [SECRET] * 3, "sex": ["f", None, "m"], "bmi": [None, 2.5, 3.5], "age": [1, 2, 3]}
EXPECTED = {"age": [1, 2, 3], "bmi": [None, 2.5, 3.5], "sex": ["f", MISSING_TEXT, "m"]}


@pytest.mark.parametrize(
    "table",
    [
        pa.table(TABLE),
        pa.table({**TABLE, "sex": pa.array(TABLE["sex"]).dictionary_encode()}),
        pa.table({**TABLE, "bmi": pa.array([None, Decimal("2.5"), Decimal("3.5")])}),
        pa.table({**TABLE, "bmi": pa.array(TABLE["bmi"]).dictionary_encode()}),
        pa.RecordBatch.from_pydict(TABLE),
        pd.DataFrame(TABLE),
        pd.DataFrame(TABLE).astype({"sex": "category", "age": "int8"}),
        pd.DataFrame(TABLE).convert_dtypes(),
        pd.DataFrame(TABLE).astype(object),
        pd.DataFrame({**TABLE, "bmi": [pd.NA, 2.5, 3.5]}),
    ],
)
def test_a_table_gives_its_columns(table: Any) -> None:
    assert shown(PERSON(table)) == EXPECTED


def test_an_array_gives_its_columns() -> None:
    rows = [[1, None, "f"], [2, 2.5, None], [3, 3.5, "m"]]
    assert shown(PERSON(np.array(rows, dtype=object))) == EXPECTED
    for kind in (float, np.float32, int, bool, ">f8", object):
        array = np.array([[1, 0], [1, 1]], dtype=kind)
        for same in (array, np.asfortranarray(array)):
            assert shown(NUMBERS(same)) == {"a": [1, 1], "b": [0, 1]}


@pytest.mark.parametrize(
    "rows",
    [[[1, 2], [3, None]], [(1, Decimal(2)), [3.0, math.nan]], np.array([[1, 2], [3, np.nan]])],
)
def test_a_model_without_names_has_one_input(rows: Any) -> None:
    inputs = NAMELESS(rows)
    assert list(inputs) == ["X"]
    assert inputs["X"].flags.c_contiguous
    np.testing.assert_array_equal(inputs["X"], [[1.0, 2.0], [3.0, math.nan]])


@pytest.mark.parametrize(
    ("value", "number"),
    [(True, 1), (np.False_, 0), (Decimal("1.5"), 1.5), (Grade.GOOD, 3), (Half.HALF, 0.5),
     (np.int8(3), 3), (np.array(2.0), 2)],
)  # fmt: skip
def test_what_is_a_number(value: object, number: float) -> None:
    assert shown(NUMBERS([{"a": value, "b": 1}])) == {"a": [number], "b": [1]}


@pytest.mark.parametrize("nothing", [None, math.nan, np.nan, Decimal("NaN"), pd.NA])
def test_what_is_missing(nothing: object) -> None:
    row = {"age": nothing, "bmi": 1, "sex": None}
    assert shown(PERSON([row])) == {"age": [None], "bmi": [1], "sex": [MISSING_TEXT]}


@pytest.mark.parametrize(
    ("value", "text"),
    [(Colour.RED, "red"), (Sex.MALE, "male"), (np.str_("é"), "é"), ("", ""),
     (None, MISSING_TEXT), (math.nan, MISSING_TEXT), (pd.NA, MISSING_TEXT)],
)  # fmt: skip
def test_what_is_a_text(value: object, text: str) -> None:
    assert shown(PERSON([{"age": 1, "bmi": 1, "sex": value}]))["sex"] == [text]


class Stubborn:
    def __float__(self) -> float:
        raise RuntimeError(SECRET)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError(SECRET)

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (SECRET, "must be a number, not a str"),
        ("3.5", "must be a number, not a str"),
        (np.str_("3.5"), "must be a number, not a str_"),
        (b"3.5", "must be a number, not a bytes"),
        (Colour.RED, "must be a number, not a str"),
        ([1.0], "must be a number, not a list"),
        (1j, "must be a number, not a complex"),
        (np.datetime64("2020-01-01"), "must be a number, not a datetime64"),
        (10**400, "must be a number, not a int"),
        (Stubborn(), "must be a number, not a Stubborn"),
        (math.inf, "must be finite"),
        (Decimal("-Infinity"), "must be finite"),
    ],
)
def test_what_is_no_number_is_told_with_its_row_and_feature(value: object, words: str) -> None:
    for rows in (
        [{"a": 1, "b": 2}, {"a": None, "b": value}],
        [[1, 2], [None, value]],
        np.array([[1, 2], [None, value]], dtype=object),
    ):
        with pytest.raises(InvalidRowsError) as caught:
            NUMBERS(rows)
        message = str(caught.value)
        assert message == f"row 1: 'b' {words}"
        assert SECRET not in repr(caught.value.__cause__)


@pytest.mark.parametrize("value", [3, 2.5, True, b"female", ["female"], Grade.GOOD])
def test_what_is_no_text_is_told_with_its_row_and_feature(value: object) -> None:
    for rows in (
        [(1, 2, "f"), (1, 2, value)],
        np.array([(1, 2, "f"), (1, 2, value)], dtype=object),
    ):
        with pytest.raises(InvalidRowsError, match=r"^row 1: 'sex' must be a text, not a "):
            PERSON(rows)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"age": 1, "sexx": SECRET}], "row 0: a dict without 'bmi', 'sex'"),
        ([(1, 2, "f"), {}], "row 1: a dict without 'age', 'bmi', 'sex'"),
        ([Open(age=1)], "row 0: a Open without 'bmi', 'sex'"),  # type: ignore[call-arg]
        ([SECRET], "row 0: a str without 'age', 'bmi', 'sex'"),
        ([(1, 2)], "row 0: has 2 values, not 3"),
        ([np.zeros(4)], "row 0: has 4 values, not 3"),
        (pa.table({"age": [1], "sex": ["f"]}), "the table must have one column each of 'bmi'"),
        (pd.DataFrame([[1, 2, 3, 4]], columns=["age", "bmi", "bmi", "sex"]),
         "the table must have one column each of 'bmi'"),
        (np.zeros((2, 4)), "an array must have the shape (rows, 3), not (2, 4)"),
        (np.zeros(3), "an array must have the shape (rows, 3), not (3,)"),
        ([], "there must be at least one row"),
        (pd.DataFrame(TABLE)[:0], "there must be at least one row"),
        ({"age": 1}, "rows must be a list of dicts, objects or sequences, a 2-D array or a table, "
         "not a dict"),
        (SECRET, "rows must be a list of dicts, objects or sequences, a 2-D array or a table, "
         "not a str"),
        (pa.table({**TABLE, "age": pa.array([1, 2, 3], pa.timestamp("s"))}),
         "row 0: 'age' must be a number, not a datetime"),
        (pd.DataFrame(TABLE).astype({"age": "datetime64[s]"}),
         "'age' must be numbers, not datetime64[s]"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_are_told(rows: Any, message: str) -> None:
    with pytest.raises(InvalidRowsError) as caught:
        PERSON(rows)
    assert str(caught.value) == message
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, LoadOnceError)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"0": 1, "1": 2}], "row 0: is a dict, but the model was trained without names"),
        ([Plain(1, 2, "")], "row 0: is a Plain, but the model was trained without names"),
        (pd.DataFrame({"0": [1], "1": [2]}), "a table has names, but the model was trained"),
    ],
)
def test_names_for_a_model_without_are_refused(rows: Any, words: str) -> None:
    """A table's columns may stand in another order than that of training."""
    with pytest.raises(InvalidRowsError) as caught:
        NAMELESS(rows)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("array", [np.array([[1.0, math.inf]]), np.array([[1, -math.inf]])])
def test_an_infinite_number_in_an_array_is_told(array: Any) -> None:
    with pytest.raises(InvalidRowsError, match="row 0: '1' must be finite"):
        NAMELESS(array)
    with pytest.raises(InvalidRowsError, match="row 0: 'b' must be finite"):
        NUMBERS(pd.DataFrame(array, columns=["a", "b"]))


STRICT = InputArrays(signature(["a", "b"], ["c"], missing=["b", "c"], infinite=["a"]))
"""Its original took an infinite `b`, and a missing `a`."""


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((1, None, "x"), "row 1: 'b' must not be missing"),
        ((1, math.nan, "x"), "row 1: 'b' must not be missing"),
        ((1, 1, None), "row 1: 'c' must not be missing"),
        ((-math.inf, 1, "x"), "row 1: 'a' must be finite"),
    ],
)
def test_what_the_original_refused_is_refused_feature_by_feature(row: Any, message: str) -> None:
    """However it comes; and what it took is taken: the control."""
    taken = (None, math.inf, "x")
    for rows in (
        [taken, row],
        np.array([taken, row], dtype=object),
        pd.DataFrame([taken, row], columns=["a", "b", "c"]),
    ):
        with pytest.raises(InvalidRowsError) as caught:
            STRICT(rows)
        assert str(caught.value) == message
        assert shown(STRICT(rows[:1])) == {"a": [None], "b": [math.inf], "c": ["x"]}


def test_large_numbers_are_not_infinite() -> None:
    """Although their sum is."""
    assert shown(NUMBERS([[1.7e308, 1.7e308]])) == {"a": [1.7e308], "b": [1.7e308]}


_NUMBER = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_infinity=False)
)
_TEXT = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"])))


@given(st.lists(st.tuples(_NUMBER, _NUMBER, _TEXT), min_size=1, max_size=5))
def test_every_way_in_gives_the_same(rows: list[tuple[Any, Any, Any]]) -> None:
    dicts = [dict(zip(("age", "bmi", "sex"), row, strict=True)) for row in rows]
    frame = pd.DataFrame(dicts, dtype=object)
    expected = shown(PERSON(rows))
    assert expected["age"] == [
        None if row[0] is None or row[0] != row[0] else float(row[0]) for row in rows
    ]
    assert expected["sex"] == [MISSING_TEXT if row[2] is None else row[2] for row in rows]
    for same in (dicts, [Triple(*row) for row in rows], frame, np.array(rows, dtype=object)):
        assert shown(PERSON(same)) == expected
