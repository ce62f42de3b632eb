"""A body read in one step has the value that Python's parser and pydantic's validation give it."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from fastapi._compat import ModelField
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    Strict,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from loadonce.http.direct_json import is_same_in_one_step, reader_of


class Inner(BaseModel):
    model_config = ConfigDict(extra="allow")

    a: float = 0.5


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    a: int = Field(3, alias="b")
    c: Literal["p", 1, True] | None = None


class Ruled(BaseModel):
    a: Annotated[float, Field(ge=0, le=1e300, multiple_of=0.5)] = 1.0
    b: Annotated[str, Field(max_length=3, pattern="^a")] = "a"
    c: Annotated[float, Field(allow_inf_nan=False)] = 0.0

    @field_validator("a")
    @classmethod
    def halved(cls, value: float) -> float:
        return value / 2

    @model_validator(mode="after")
    def small(self) -> Ruled:
        if self.c > 5:
            raise ValueError("too much")
        return self


class Whole(BaseModel):
    a: float = 0.0
    b: int = 3
    c: str = ""
    d: bool = False
    e: float | None = None
    f: list[float] = []
    g: dict[str, Any] = {}
    h: dict[int, float] = {}
    inner: Inner | None = None
    rows: list[Closed] = Field([], max_length=2)
    ruled: Ruled | None = None
    free: Any = None
    again: Whole | None = None


class Either(BaseModel):
    a: int | str = 0


class Exact(BaseModel):
    model_config = ConfigDict(strict=True)

    a: int


class Turned(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    a: str


class Told(BaseModel):
    a: int

    @field_validator("a")
    @classmethod
    def told(cls, value: int, info: ValidationInfo) -> int:
        return value


class Raw(BaseModel):
    a: int

    @field_validator("a", mode="before")
    @classmethod
    def raw(cls, value: Any) -> Any:
        return value


class Named(BaseModel):
    a: int = Field(validation_alias=AliasChoices("b", "c"))


class Dated(BaseModel):
    a: date


Pairs = Annotated[dict[str, int], Field(min_length=2, max_length=3)]
ONE_STEP: list[Any] = [Whole, Inner, Closed, Ruled, Pairs, Any]
ONE_STEP += [list[float], list[Whole], dict[str, int]]
TWO_STEPS: list[Any] = [Either, Exact, Turned, Told, Raw, Named, Dated, RootModel[int], bytes]
TWO_STEPS += [set[int], tuple[int, str], Annotated[float, Strict()]]

NUMBERS = ["0", "-0", "-0.0", "1", "1.0", "2.5", "7", "1e5", "1E-400", "1e400", "-1e999", "NaN"]
NUMBERS += ["Infinity", "-Infinity", "01", "1.", "9007199254740993", "18446744073709551616"]
NUMBERS += ["9" * 308, "9" * 309, "9" * 320, "1" + "0" * 400, "-" + "9" * 400, "9" * 4400]
NUMBERS += ["0.1234567890123456789", "1.7976931348623159e308", "5e-324", "1e19", "123456789e-9"]
TEXTS = ['""', '"a"', '"ab"', '"p"', '"1"', '" 7 "', '"1.0"', '"1_0"', '"nan"', '"true"', '"yes"']
TEXTS += ['"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"é"', '"\\u2028"', '"\n"', '"\\/"', "'a'"]
TEXTS += ["true", "false", "null", "nul"]
KEYS = [*"abcdefgh", "inner", "rows", "ruled", "free", "again", "1", " 1", "1.0", "\\u0061"]

scalars = st.sampled_from(NUMBERS + TEXTS)
spaces = st.sampled_from(["", "", " ", "\n\t", "\x0c"])


def _list(items: list[str]) -> str:
    return f"[{', '.join(items)}]"


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'"{key}": {value}' for key, value in pairs) + "}"


values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4).map(_list)
        | st.lists(st.tuples(st.sampled_from(KEYS), inner), max_size=5).map(_object)
    ),
    max_leaves=12,
)
bodies = st.tuples(spaces, values, spaces).map("".join).map(str.encode)


def field_of(kind: Any) -> ModelField:
    return ModelField(field_info=FieldInfo(annotation=kind), name="body")


FIELDS = {repr(kind): field_of(kind) for kind in [*ONE_STEP, *TWO_STEPS]}


def shown(value: Any) -> str:
    """The value with its types, and for models with the fields that were set."""
    if isinstance(value, BaseModel):
        extra = sorted((value.__pydantic_extra__ or {}).items(), key=str)
        inner = {name: shown(each) for name, each in value.__dict__.items()}
        return f"{inner} {sorted(value.model_fields_set)} {shown(extra)}"
    if isinstance(value, dict):
        return repr([(shown(key), shown(each)) for key, each in value.items()])
    if isinstance(value, list | tuple):
        return repr([shown(each) for each in value])
    return f"{type(value).__name__} {value!r}"


def differences(read: Any, field: ModelField, body: bytes) -> list[str]:
    """What a reader makes of a body that FastAPI would not: refusing it is no difference, for then
    FastAPI is asked."""
    try:
        found = shown(read(body))
    except ValueError:
        return []
    try:
        value, errors = field.validate(json.loads(body))
    except ValueError as error:
        return [f"{body!r}: {found}, but FastAPI: {error}"]
    expected = str(errors) if errors else shown(value)
    return [] if expected == found else [f"{body!r}: {found}, but FastAPI: {expected}"]


@settings(max_examples=400, derandomize=True, database=None)
@given(bodies)
def test_what_is_read_is_what_fastapi_would_have_read(body: bytes) -> None:
    for field in FIELDS.values():
        assert differences(reader_of(field), field, body) == []


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@settings(max_examples=100_000, database=None)
@given(bodies)
def test_many_more_bodies_are_read_alike(body: bytes) -> None:
    for field in FIELDS.values():
        assert differences(reader_of(field), field, body) == []


@pytest.mark.parametrize("kind", ONE_STEP, ids=str)
def test_most_models_are_read_in_one_step(kind: Any) -> None:
    assert is_same_in_one_step(TypeAdapter(kind).core_schema)


@pytest.mark.parametrize("kind", TWO_STEPS, ids=str)
def test_models_that_would_come_out_otherwise_are_read_in_two(kind: Any) -> None:
    assert not is_same_in_one_step(TypeAdapter(kind).core_schema)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (float, b"9" * 400),  # infinity, where Python says that it does not fit
        (Annotated[set[int], Strict()], b"[1]"),
        (Annotated[date, Strict()], b'"2024-01-01"'),
        (date | str, b'"2024-01-01"'),
    ],
    ids=str,
)
def test_what_one_step_would_make_of_them_is_noticed(kind: Any, body: bytes) -> None:
    """The control: pydantic's JSON mode without the exceptions is found to differ."""
    field = field_of(kind)
    assert differences(field._type_adapter.validate_json, field, body)
    assert differences(reader_of(field), field, body) == []
