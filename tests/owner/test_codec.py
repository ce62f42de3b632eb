"""Values come out of the other process as they went in, type for type."""

from __future__ import annotations

import datetime
import enum
import json
import math
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import BaseModel, PrivateAttr, field_validator

from loadonce.errors import ConfigurationError
from loadonce.owner.codec import Place, from_tree, to_tree


class Colour(enum.Enum):
    RED = "r"


class Level(enum.IntEnum):
    HIGH = 3


class Parts(enum.Flag):
    HEART = 1
    LUNG = 2


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: list[int] = field(default_factory=list)


class Pair(NamedTuple):
    a: int
    b: str


class Vitals(BaseModel):
    glucose: float
    name: str = "?"
    point: Point | None = None
    _seen: int = PrivateAttr(default=0)

    @field_validator("name")
    @classmethod
    def shout(cls, value: str) -> str:
        return f"{value}!"


class Plain:
    pass


def through(value: Any) -> Any:
    """The value after its way through JSON."""
    parts: list[bytearray] = []

    def put(size: int) -> tuple[Place, memoryview]:
        parts.append(bytearray(size))
        return len(parts) - 1, memoryview(parts[-1])

    tree = json.loads(json.dumps(to_tree(value, put)))
    return from_tree(tree, lambda place, _is_kept: parts[place])


_MORE = [
    *(None, True, 1, -(2**80), 1.5, "text", "\ud800", [], {}, (), (1, (2,)), [1, [2, "a"]]),
    *({"a": 1}, {"a": [1]}, {"$": 1}, {1: "a", (2, 3): [4]}, {"a": (1,)}, set(), {1, 2}),
    *(frozenset({"a"}), b"", b"bytes", bytearray(b"more"), 1 + 2j, Decimal("1.10")),
    *(datetime.date(2026, 1, 2), datetime.time(1, 2, 3, 4), datetime.timedelta(-1, 2, 3)),
    *(datetime.datetime(2026, 1, 2, 3, 4, 5, 6), uuid.UUID(int=7), PurePosixPath("/a/b")),
    datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    *(Colour.RED, Level.HIGH, Point(1.0, [2]), Pair(1, "b"), [Pair(2, "c"), Colour.RED]),
    *(Parts.HEART, Parts.HEART | Parts.LUNG, Parts(0), np.str_(""), np.bytes_(b"")),
    *(np.float64(1.5), np.int8(-3), np.bool_(True), np.str_("é"), np.datetime64("2026-01-02")),
]


@pytest.mark.parametrize("value", _MORE, ids=repr)
def test_what_crosses_is_equal_and_of_the_same_type(value: Any) -> None:
    found = through(value)
    assert found == value
    assert type(found) is type(value)


def test_infinite_numbers_cross() -> None:
    assert through([math.inf, -math.inf]) == [math.inf, -math.inf]
    assert math.isnan(through(math.nan))


def test_a_view_of_memory_crosses_also_where_it_has_gaps() -> None:
    assert bytes(through(memoryview(b"abc"))) == b"abc"
    assert bytes(through(memoryview(b"abcdef")[::2])) == b"ace"


def test_a_pydantic_model_crosses_as_it_is_and_is_not_validated_again() -> None:
    vitals = Vitals(glucose=1, name="a", point=Point(2.0))
    vitals._seen = 5
    found = through([vitals])[0]
    assert found == vitals
    assert (found.name, found._seen, found.point) == ("a!", 5, Point(2.0))
    assert found.model_fields_set == vitals.model_fields_set


_DTYPES = st.one_of(
    *(hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.floating_dtypes(sizes=(16, 32, 64))),
    *(hnp.complex_number_dtypes(), hnp.datetime64_dtypes(), hnp.timedelta64_dtypes()),
    *(hnp.byte_string_dtypes(), hnp.unicode_string_dtypes()),
)


@given(hnp.arrays(_DTYPES, hnp.array_shapes(min_dims=0, min_side=0, max_dims=3)))
def test_arrays_cross_bit_by_bit(array: Any) -> None:
    found = through(array)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()


def test_arrays_that_are_more_than_arrays_are_refused_for_what_they_would_lose() -> None:
    masked = np.ma.masked_array([1, 2], [True, False])
    for more in (masked, np.zeros(1, [("a", int)]).view(np.recarray)):
        with pytest.raises(ConfigurationError, match=r"it would arrive as a plain array"):
            through(more)


def test_arrays_that_are_read_from_a_file_cross(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(5))
    found = through(np.load(tmp_path / "a.npy", mmap_mode="r"))
    assert type(found) is np.ndarray
    assert found.tolist() == [0, 1, 2, 3, 4]


def test_arrays_of_records_cross_and_those_in_columns_stay_so() -> None:
    records = np.array([(1, 2.5, [1, 2])], dtype=[("a", "<i4"), ("b", ">f8"), ("c", "u1", 2)])
    assert through(records).tobytes() == records.tobytes()
    assert through(records).dtype == records.dtype
    columns = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert through(columns).flags.f_contiguous
    assert (through(columns) == columns).all()
    assert (through(columns[:, ::2]) == columns[:, ::2]).all()


def test_an_array_that_crossed_can_be_written_to() -> None:
    found = through(np.zeros(3))
    found += 1
    assert found.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "value",
    [Plain(), object(), [Plain()], {"a": Plain()}, np.array([None]), test_infinite_numbers_cross],
    ids=lambda value: type(value).__name__,
)
def test_other_things_are_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        through(value)


def test_what_only_looks_plain_is_refused() -> None:
    class Text(str):
        pass

    with pytest.raises(ConfigurationError, match="cannot be sent"):
        through(Text("a"))


def test_classes_that_nobody_finds_by_name_are_refused() -> None:
    @dataclass
    class Inner:
        a: int

    with pytest.raises(ConfigurationError, match="by their names"):
        through(Inner(1))


def trees(kind: str, cls: type, state: Any) -> Any:
    return {"$": [kind, [cls.__module__, cls.__qualname__, state]]}


@pytest.mark.parametrize(
    ("tree", "match"),
    [
        (trees("dataclass", Point, {"x": 1}), "other fields"),
        (trees("pydantic", Vitals, {"__dict__": {"x": 1}}), "other fields"),
        (trees("namedtuple", Pair, {"a": 1}), "other fields"),
        (trees("dataclass", Plain, {}), "not what it says"),
        (trees("enum", Plain, "RED"), "not what it says"),
        (trees("flag", Colour, 1), "not what it says"),
        (trees("path", Plain, "/"), "not what it says"),
        (trees("namedtuple", Plain, {}), "not what it says"),
        (trees("pydantic", Plain, {}), "not what it says"),
        ({"$": ["dataclass", [__name__, "trees", {}]]}, "not what it says"),
        ({"$": ["dataclass", [__name__, "nothing", {}]]}, "there is no"),
    ],
)
def test_no_other_class_is_made_than_those_that_only_hold_fields(tree: Any, match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        from_tree(tree, lambda _place, _is_kept: b"")


@pytest.fixture
def without() -> Iterator[None]:
    hidden = {name: sys.modules.pop(name) for name in ("numpy", "pydantic")}
    yield
    sys.modules |= hidden


@pytest.mark.usefixtures("without")
def test_neither_numpy_nor_pydantic_is_needed() -> None:
    assert through((Point(1.0), b"a")) == (Point(1.0), b"a")
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        through(Plain())
