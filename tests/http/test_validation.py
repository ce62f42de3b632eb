"""422 names fields and rules, and repeats nothing that was submitted."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AnyUrl,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from loadonce.http import RuleViolation
from loadonce.http.validation import validation_problem

CANARY = "canary-4711"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: float = Field(0, ge=1, le=2)
    whole: int = 0
    word: str = Field("", max_length=3, pattern="^[a-z]+$")
    choice: Literal["male", "female"] = "male"
    day: date = date(2026, 1, 1)
    moment: datetime = datetime(2026, 1, 1)
    aware: AwareDatetime | None = None
    clock: time = time()
    span: timedelta = timedelta()
    ident: UUID | None = None
    link: AnyUrl | None = None
    some: list[int] = Field([], min_length=1, max_length=2)
    mapping: dict[str, int] = {}
    raw: Json[list[int]] = []
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    data: bytes = b""
    checked: str = ""
    custom: str = ""
    fixed: str = ""

    @field_validator("checked")
    @classmethod
    def _check(cls, value: str) -> str:
        if value:
            raise ValueError(f"{value} is not good")
        return value

    @field_validator("custom")
    @classmethod
    def _check_custom(cls, value: str) -> str:
        raise PydanticCustomError("my_rule", "{value} is bad", {"value": value})

    @field_validator("fixed")
    @classmethod
    def _check_fixed(cls, value: str) -> str:
        raise RuleViolation("must be a known code")

    @model_validator(mode="after")
    def _together(self) -> Form:
        assert self.whole != 13, f"{self.whole} {CANARY}"
        return self


def errors_of(**values: object) -> list[dict[str, Any]]:
    with pytest.raises(ValidationError) as caught:
        Form.model_validate(values)
    problem = validation_problem(caught.value.errors())
    assert problem.status_code == 422
    assert CANARY not in json.dumps(problem.members)
    errors = problem.members["errors"]
    assert isinstance(errors, list)
    return errors


@pytest.mark.parametrize(
    ("field", "value", "rule", "message"),
    [
        ("number", 3, "less_than_equal", "Input should be less than or equal to 2"),
        ("word", CANARY, "string_too_long", "String should have at most 3 characters"),
        ("word", "A1", "string_pattern_mismatch", "String should match pattern '^[a-z]+$'"),
        ("choice", CANARY, "literal_error", "Input should be 'male' or 'female'"),
        ("some", [1, 2, 3], "too_long", "List should have at most 2 items"),
        ("some", [], "too_short", "List should have at least 1 items"),
        ("day", CANARY, "date_from_datetime_parsing", "Input should be a valid date or datetime"),
        (
            "moment",
            CANARY,
            "datetime_from_date_parsing",
            "Input should be a valid datetime or date",
        ),
        ("clock", CANARY, "time_parsing", "Input should be in a valid time format"),
        ("span", CANARY, "time_delta_parsing", "Input should be a valid timedelta"),
        ("ident", CANARY, "uuid_parsing", "Input should be a valid UUID"),
        ("link", CANARY, "url_parsing", "Input should be a valid URL"),
        ("raw", CANARY, "json_invalid", "Input should be valid JSON"),
        ("checked", CANARY, "value_error", "Input does not satisfy a rule of this field"),
        ("custom", CANARY, "my_rule", "Input does not satisfy a rule of this field"),
        ("fixed", CANARY, "value_error", "must be a known code"),
    ],
)
def test_field_rule_and_message_are_told(
    field: str, value: object, rule: str, message: str
) -> None:
    assert errors_of(**{field: value}) == [{"field": [field], "rule": rule, "message": message}]


def test_a_tag_nobody_knows_is_not_repeated() -> None:
    (error,) = errors_of(pet={"kind": CANARY})
    assert error["rule"] == "union_tag_invalid"
    assert error["message"] == "The field 'kind' should be one of 'cat', 'dog'"


def test_the_text_of_an_assertion_is_withheld() -> None:
    (error,) = errors_of(whole=13)
    assert error == {
        "field": [],
        "rule": "assertion_error",
        "message": "Input does not satisfy a rule of this field",
    }


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("glucos", "glucos"),
        ("user-agent.x_1", "user-agent.x_1"),
        ("a" * 65, "(unknown field)"),
        ("Jane Doe", "(unknown field)"),
        ("größe", "(unknown field)"),
        ("<script>", "(unknown field)"),
        ("", "(unknown field)"),
    ],
)
def test_the_name_of_an_unknown_field_is_repeated_only_if_it_is_a_plain_name(
    name: str, shown: str
) -> None:
    (error,) = errors_of(**{name: 1})
    assert error == {
        "field": [shown],
        "rule": "extra_forbidden",
        "message": "Extra inputs are not permitted",
    }


def test_keys_of_a_mapping_are_user_input_too() -> None:
    (error,) = errors_of(mapping={f"{CANARY} street 5": "x"})
    assert error["field"] == ["mapping", "(unknown field)"]


def test_a_body_that_is_no_json_is_400_and_a_field_that_is_none_422() -> None:
    malformed = [{"type": "json_invalid", "loc": ("body", 3), "msg": CANARY, "ctx": {}}]
    assert validation_problem(malformed).status_code == 400
    assert validation_problem([*malformed, *malformed]).status_code == 422
    assert validation_problem([{"type": "json_invalid", "loc": ("body", "x")}]).status_code == 422


def test_errors_of_any_shape_are_told_somehow() -> None:
    problem = validation_problem(
        [{}, {"type": "missing"}, {"type": "timezone_offset", "loc": [{}]}]
    )
    assert problem.members["errors"] == [
        {"field": [], "rule": "", "message": "Input does not satisfy a rule of this field"},
        {"field": [], "rule": "missing", "message": "Input does not satisfy a rule of this field"},
        {
            "field": ["(unknown field)"],
            "rule": "timezone_offset",
            "message": "Input does not satisfy a rule of this field",
        },
    ]
    assert validation_problem([]).detail == "0 rules broken"


def test_a_thousand_errors_are_told_by_the_first_ones() -> None:
    problem = validation_problem([{"type": "missing", "loc": ("body", n)} for n in range(1000)])
    errors = problem.members["errors"]
    assert isinstance(errors, list)
    assert len(errors) == 32
    assert problem.detail == "1000 rules broken; the first 32 are listed"


@given(
    st.dictionaries(
        st.sampled_from(sorted(Form.model_fields)),
        st.sampled_from([CANARY, [CANARY], {CANARY: CANARY}, {"kind": CANARY}, f"2026-{CANARY}"])
        | st.text().map(lambda text: CANARY + text),
        min_size=1,
    )
)
def test_no_value_is_ever_repeated(values: dict[str, object]) -> None:
    try:
        Form.model_validate({"whole": 13, **values})
    except ValidationError as error:
        told = validation_problem(error.errors())
        shown = json.dumps({"detail": told.detail, **told.members})
        assert CANARY not in shown.replace(f'["mapping", "{CANARY}"]', "")
