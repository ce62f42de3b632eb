"""Rows of every kind become the same arrays; what does not fit is told without its values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
from loadonce.loaders.codes import MISSING, UNKNOWN
from loadonce.loaders.rows import InputMatrix
from loadonce.loaders.signature import Refused, Signature

SECRET = "s3cret"


def signature(
    names: Sequence[str],
    texts: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    *,
    is_named: bool = True,
    missing: Sequence[str] = (),
    infinite: Sequence[str] | None = None,
) -> Signature:
    return Signature(
        "regressor",
        tuple(names),
        texts,
        is_named,
        (),
        "object",
        "float64",
        Refused(frozenset(missing), frozenset(names if infinite is None else infinite)),
    )


NAMES = ("age", "sex", "bmi")
KNOWN = ("female", "male", "f", "m")
PERSON = InputMatrix(signature(NAMES, {"sex": KNOWN}))
NUMBERS = InputMatrix(signature(["a", "b"]))
NAMELESS = InputMatrix(signature(["0", "1"], is_named=False))


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
    bmi: float
    age: int
    sex: str


def shown(matrix: Any, names: Sequence[str] = NAMES) -> dict[str, list[Any]]:
    """By feature; NaN as None."""
    assert matrix.shape[1:] == (len(names),)
    assert matrix.flags.c_contiguous
    assert matrix.dtype == float
    columns = [[None if each != each else each for each in column] for column in matrix.T.tolist()]
    return dict(zip(names, columns, strict=True))


def two(matrix: Any) -> dict[str, list[Any]]:
    return shown(matrix, ("a", "b"))


@pytest.mark.parametrize(
    "row",
    [
        {"sex": "male", "age": 36, "bmi": 31.5, "id": SECRET},
        MappingProxyType({"sex": "male", "age": 36, "bmi": 31.5}),
        Person(sex=Sex.MALE, age=36, bmi=31.5),
        Aliased(age=36, index=31.5, sex="male"),
        Open(age=36, bmi=31.5, sex="male"),  # type: ignore[call-arg]
        Computed(age=36, weight=126, sex="male"),
        Plain(31.5, 36, "male"),
        Triple(31.5, 36, "male"),
        (36, "male", 31.5),
        [Decimal(36), np.str_("male"), np.float32(31.5)],
        np.array([36, "male", 31.5], dtype=object),
    ],
)
def test_a_row_of_any_kind_gives_the_same_numbers(row: object) -> None:
    """By name in any order, by position in that of training; what is no feature is ignored."""
    expected: dict[str, list[Any]] = {"age": [36], "sex": [1], "bmi": [31.5]}
    assert shown(PERSON([row])) == expected
    assert shown(PERSON((row, row))) == {name: both * 2 for name, both in expected.items()}


def test_rows_of_several_kinds_come_together() -> None:
    matrix = PERSON([{"age": 1, "bmi": 2, "sex": "f"}, (3, "m", 4), Plain(6, 5, "c")])
    assert shown(matrix) == {"age": [1, 3, 5], "bmi": [2, 4, 6], "sex": [2, 3, UNKNOWN]}


def test_a_single_feature_comes_by_any_name() -> None:
    one = InputMatrix(signature(["age"]))
    for row in ({"age": 3}, Person(age=3, bmi=None), [3]):
        assert one([row]).tolist() == [[3]]


TABLE: dict[str, list[Any]] = {
    "id": [SECRET] * 4,
    "sex": ["f", None, "m", "x"],
    "bmi": [None, 2.5, 3.5, 4],
    "age": [1, 2, 3, 4],
}
EXPECTED: dict[str, list[Any]] = {
    "age": [1, 2, 3, 4],
    "bmi": [None, 2.5, 3.5, 4],
    "sex": [2, MISSING, 3, UNKNOWN],
}
ARROW = pa.array(TABLE["sex"])


@pytest.mark.parametrize("times", [1, 200])
@pytest.mark.parametrize(
    "table",
    [
        pa.table(TABLE),
        pa.table({**TABLE, "sex": ARROW.dictionary_encode()}),
        pa.table(
            {
                **TABLE,
                "sex": pa.DictionaryArray.from_arrays(
                    pa.array([0, None, 1, 2], pa.uint8()), pa.array(["f", "m", "x", "unused"])
                ),
            }
        ),
        pa.concat_tables([pa.table(TABLE)[:2], pa.table(TABLE)[2:]]),
        pa.concat_tables(
            [
                pa.table({name: pa.array(each).dictionary_encode() for name, each in part.items()})
                for part in (
                    {name: each[:2] for name, each in TABLE.items()},
                    {name: each[2:] for name, each in TABLE.items()},
                )
            ]
        ),
        pa.table({**TABLE, "sex": ARROW.cast(pa.large_string())}),
        pa.table({**TABLE, "sex": ARROW.cast(pa.string_view())}),
        pa.table({**TABLE, "bmi": pa.array([None, *map(Decimal, ("2.5", "3.5", "4.0"))])}),
        pa.table({**TABLE, "bmi": pa.array(TABLE["bmi"]).dictionary_encode()}),
        pa.RecordBatch.from_pydict(TABLE),
        pd.DataFrame(TABLE),
        pd.DataFrame(TABLE).astype({"sex": "category", "age": "int8"}),
        pd.DataFrame(TABLE).convert_dtypes(),
        pd.DataFrame(TABLE).astype(object),
        pd.DataFrame({**TABLE, "bmi": [pd.NA, 2.5, 3.5, 4]}),
    ],
)
def test_a_table_gives_its_columns(table: Any, times: int) -> None:
    """A long one, too."""
    joins: dict[type, Any] = {
        pd.DataFrame: pd.concat,
        pa.Table: pa.concat_tables,
        pa.RecordBatch: pa.concat_batches,
    }
    table = joins[type(table)]([table] * times)
    assert shown(PERSON(table)) == {name: each * times for name, each in EXPECTED.items()}


def test_a_column_without_any_text_is_missing() -> None:
    for table in (
        pa.table({**TABLE, "sex": [None] * 4}),
        pd.DataFrame({**TABLE, "sex": [None] * 4}),
    ):
        assert shown(PERSON(table))["sex"] == [MISSING] * 4


@pytest.mark.parametrize("codes", [[0, 1], [1, 1]])
def test_a_category_that_is_no_text_is_refused_only_where_a_row_has_it(codes: list[int]) -> None:
    categories: Any = pd.Index([3, "f"])
    sexes = pd.Categorical.from_codes(codes, categories=categories)
    table = pd.DataFrame({"age": [1, 2], "bmi": [1, 2], "sex": sexes})
    if 0 not in codes:
        assert shown(PERSON(table))["sex"] == [2, 2]
        return
    with pytest.raises(InvalidRowsError, match=r"^row 0: 'sex' must be a text, not a int$"):
        PERSON(table)


def test_an_array_gives_its_columns() -> None:
    rows = [[1, "f", None], [2, None, 2.5], [3, "m", 3.5], [4, "x", 4]]
    assert shown(PERSON(np.array(rows, dtype=object))) == EXPECTED
    for kind in (float, np.float32, int, bool, ">f8", object):
        array = np.array([[1, 0], [1, 1]], dtype=kind)
        for same in (array, np.asfortranarray(array)):
            assert two(NUMBERS(same)) == {"a": [1, 1], "b": [0, 1]}
    texts = InputMatrix(signature(["a", "b"], {"a": ("x", "y"), "b": ("y",)}))
    assert texts(np.array([["x", "x"], ["y", "y"]])).tolist() == [[0, UNKNOWN], [1, 0]]


@pytest.mark.parametrize(
    "rows",
    [[[1, 2], [3, None]], [(1, Decimal(2)), [3.0, math.nan]], np.array([[1, 2], [3, np.nan]])],
)
def test_rows_without_names_come_in_the_order_of_training(rows: Any) -> None:
    np.testing.assert_array_equal(NAMELESS(rows), [[1.0, 2.0], [3.0, math.nan]])


@pytest.mark.parametrize(
    ("value", "number"),
    [(True, 1), (np.False_, 0), (Decimal("1.5"), 1.5), (Grade.GOOD, 3), (Half.HALF, 0.5),
     (np.int8(3), 3), (np.array(2.0), 2)],
)  # fmt: skip
def test_what_is_a_number(value: object, number: float) -> None:
    assert two(NUMBERS([{"a": value, "b": 1}])) == {"a": [number], "b": [1]}


@pytest.mark.parametrize("nothing", [None, math.nan, np.nan, Decimal("NaN"), pd.NA])
def test_what_is_missing(nothing: object) -> None:
    row = {"age": nothing, "bmi": 1, "sex": None}
    assert shown(PERSON([row])) == {"age": [None], "bmi": [1], "sex": [MISSING]}


@pytest.mark.parametrize(
    ("value", "code"),
    [(Colour.RED, UNKNOWN), (Sex.MALE, 1), (np.str_("male"), 1), ("", UNKNOWN), ("é", UNKNOWN),
     ("\ud800", UNKNOWN), ("\0", UNKNOWN), (None, MISSING), (math.nan, MISSING),
     (pd.NA, MISSING)],
)  # fmt: skip
def test_what_is_a_text(value: object, code: float) -> None:
    """Half a character, a lone surrogate, is one that nobody knows."""
    for rows in ([{"age": 1, "bmi": 1, "sex": value}], np.array([(1, value, 1)], dtype=object)):
        assert shown(PERSON(rows))["sex"] == [code]


def test_an_enum_is_the_text_that_it_holds() -> None:
    red = InputMatrix(signature(["a"], {"a": ("blue", "red")}))
    assert red([[Colour.RED]]).tolist() == [[1]]


class Stubborn:
    def __float__(self) -> float:
        raise RuntimeError(SECRET)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError(SECRET)

    __hash__ = None  # type: ignore[assignment]


class Unhashable:
    def __hash__(self) -> int:
        raise RuntimeError(SECRET)


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


@pytest.mark.parametrize(
    "value", [3, 2.5, True, b"male", ["male"], Grade.GOOD, Half.HALF, Stubborn(), Unhashable()]
)
def test_what_is_no_text_is_told_with_its_row_and_feature(value: object) -> None:
    for rows in (
        [(1, "f", 2), (1, value, 2)],
        np.array([(1, "f", 2), (1, value, 2)], dtype=object),
    ):
        with pytest.raises(InvalidRowsError, match=r"^row 1: 'sex' must be a text, not a "):
            PERSON(rows)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"age": 1, "sexx": SECRET}], "row 0: a dict without 'sex', 'bmi'"),
        ([(1, "f", 2), {}], "row 1: a dict without 'age', 'sex', 'bmi'"),
        ([Open(age=1)], "row 0: a Open without 'sex', 'bmi'"),  # type: ignore[call-arg]
        ([SECRET], "row 0: a str without 'age', 'sex', 'bmi'"),
        ([(1, 2)], "row 0: has 2 values, not 3"),
        ([np.zeros(4)], "row 0: has 4 values, not 3"),
        (pa.table({"age": [1], "sex": ["f"]}), "the table must have one column each of 'bmi'"),
        (pd.DataFrame([[1, 2, 3, 4]], columns=["age", "bmi", "bmi", "sex"]),
         "the table must have one column each of 'bmi'"),
        (np.zeros((2, 4)), "an array must have the shape (rows, 3), not (2, 4)"),
        (np.zeros(3), "an array must have the shape (rows, 3), not (3,)"),
        ([], "there must be at least one row"),
        (np.zeros((0, 3)), "there must be at least one row"),
        (pd.DataFrame(TABLE)[:0], "there must be at least one row"),
        ({"age": 1}, "rows must be a list of dicts, objects or sequences, a 2-D array or a table, "
         "not a dict"),
        (SECRET, "rows must be a list of dicts, objects or sequences, a 2-D array or a table, "
         "not a str"),
        (pa.table({**TABLE, "age": pa.array([1, 2, 3, 4], pa.timestamp("s"))}),
         "row 0: 'age' must be a number, not a datetime"),
        (pa.table({**TABLE, "sex": [1, 2, 3, 4]}), "row 0: 'sex' must be a text, not a int"),
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


def test_an_array_of_no_rows_is_told() -> None:
    with pytest.raises(InvalidRowsError, match="there must be at least one row"):
        NUMBERS(np.zeros((0, 2)))


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


STRICT = InputMatrix(signature(["a", "b", "c"], {"c": ("x",)}, missing=["b", "c"], infinite=["a"]))
"""Its original took an infinite `b`, and a missing `a`."""


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((1, None, "x"), "row 1: 'b' must not be missing"),
        ((1, math.nan, "x"), "row 1: 'b' must not be missing"),
        ((1, 1, None), "row 1: 'c' must not be missing"),
        ((1, 1, math.nan), "row 1: 'c' must not be missing"),
        ((-math.inf, 1, "x"), "row 1: 'a' must be finite"),
    ],
)
def test_what_the_original_refused_is_refused_feature_by_feature(row: Any, message: str) -> None:
    """However it comes; and what it took is taken: the control."""
    taken = (None, math.inf, "x")
    frame = pd.DataFrame([taken, row], columns=["a", "b", "c"])
    for rows in (
        [taken, row],
        np.array([taken, row], dtype=object),
        frame,
        frame.astype({"c": "category"}),
        pa.Table.from_pandas(frame, preserve_index=False),
    ):
        with pytest.raises(InvalidRowsError) as caught:
            STRICT(rows)
        assert str(caught.value) == message
        one = shown(STRICT(rows[:1]), ("a", "b", "c"))
        assert one == {"a": [None], "b": [math.inf], "c": [0]}


def test_large_numbers_are_not_infinite() -> None:
    """Although their sum is."""
    assert two(NUMBERS([[1.7e308, 1.7e308]])) == {"a": [1.7e308], "b": [1.7e308]}


_NUMBER = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_infinity=False)
)
_TEXT = st.one_of(
    st.none(), st.sampled_from(KNOWN), st.text(st.characters(exclude_categories=["Cs"]))
)


@given(st.lists(st.tuples(_NUMBER, _TEXT, _NUMBER), min_size=1, max_size=5))
def test_every_way_in_gives_the_same(rows: list[tuple[Any, Any, Any]]) -> None:
    dicts = [dict(zip(NAMES, row, strict=True)) for row in rows]
    frame = pd.DataFrame(dicts, dtype=object)
    expected = shown(PERSON(rows))
    assert expected["age"] == [
        None if row[0] is None or row[0] != row[0] else float(row[0]) for row in rows
    ]
    codes = dict(zip(KNOWN, range(4), strict=True))
    assert expected["sex"] == [
        MISSING if row[1] is None else codes.get(row[1], UNKNOWN) for row in rows
    ]
    typed = frame.astype({"sex": "category"})
    for same in (
        dicts,
        [Triple(bmi, age, sex) for age, sex, bmi in rows],
        frame,
        typed,
        np.array(rows, dtype=object),
    ):
        assert shown(PERSON(same)) == expected
