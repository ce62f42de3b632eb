"""Bodies accept exactly what the feature table says, and no value leaves in an error."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from vitalcheck import features, schemas
from vitalcheck.features import Feature
from vitalcheck.schemas import Profile

PROFILES: list[type[Profile]] = [
    schemas.Diabetes,
    schemas.Heart,
    schemas.Stroke,
    schemas.BreastCancer,
    schemas.Sleep,
    schemas.LifeExpectancy,
    schemas.Insurance,
    schemas.Fitness,
]
PAIRS = [(profile, item) for profile in PROFILES for item in profile.table.features]


def named(pairs: list[tuple[type[Profile], Feature]]) -> list[Any]:
    return [pytest.param(one, item, id=f"{one.__name__}.{item.name}") for one, item in pairs]


FIELDS = named(PAIRS)
BOUNDED = named([pair for pair in PAIRS if pair[1].kind in ("number", "integer")])


def with_value(profile: type[Profile], name: str, value: object) -> dict[str, object]:
    return {**profile.table.example, name: value}


def refusal(profile: type[Profile], body: object) -> str:
    with pytest.raises(ValidationError) as caught:
        profile.model_validate(body)
    return caught.value.errors()[0]["type"]


def property_of(profile: type[Profile], name: str) -> tuple[dict[str, Any], bool]:
    """A field's JSON schema without null, and whether null is allowed."""
    found = profile.model_json_schema()["properties"][name]
    options = found.get("anyOf", [found])
    (kind,) = [option for option in options if option != {"type": "null"}]
    return kind, {"type": "null"} in options


def test_every_table_has_its_body() -> None:
    assert {profile.table.model for profile in PROFILES} == set(features.FEATURES)


@pytest.mark.parametrize("profile", PROFILES)
def test_fields_are_the_table_s_in_its_order(profile: type[Profile]) -> None:
    assert tuple(profile.model_fields) == profile.table.names
    assert profile.__doc__
    assert profile.model_json_schema()["additionalProperties"] is False


@pytest.mark.parametrize(("profile", "item"), FIELDS)
def test_the_schema_tells_type_range_unit_levels_and_optional(
    profile: type[Profile], item: Feature
) -> None:
    kind, may_be_null = property_of(profile, item.name)
    whole = profile.model_json_schema()
    assert may_be_null == item.optional
    assert (item.name in whole.get("required", [])) == (not item.optional)
    assert kind["type"] == {"choice": "string"}.get(item.kind, item.kind)
    assert kind.get("minimum") == item.low
    assert kind.get("maximum") == item.high
    assert tuple(kind.get("enum", ())) == item.levels
    described = whole["properties"][item.name]
    assert described.get("unit", "") == item.unit
    assert described["examples"] == [item.example]
    assert described["title"]
    assert described["description"]


@pytest.mark.parametrize("profile", [*PROFILES, schemas.Comprehensive])
def test_the_documented_example_is_valid(profile: type[schemas.Body]) -> None:
    (example,) = profile.model_json_schema()["examples"]
    profile.model_validate(json.loads(json.dumps(example)))


@pytest.mark.parametrize(("profile", "item"), FIELDS)
def test_null_and_absent_mean_not_known_where_marked(profile: type[Profile], item: Feature) -> None:
    body = dict(with_value(profile, item.name, None))
    absent = {name: value for name, value in body.items() if name != item.name}
    if item.optional:
        assert profile.model_validate(body).row()[item.name] is None
        assert profile.model_validate(absent).row()[item.name] is None
    else:
        assert refusal(profile, body) != "missing"
        assert refusal(profile, absent) == "missing"


@pytest.mark.parametrize(("profile", "item"), BOUNDED)
def test_bounds_are_inclusive(profile: type[Profile], item: Feature) -> None:
    for bound, rule in ((item.low, "greater_than_equal"), (item.high, "less_than_equal")):
        if bound is None:
            continue
        inside = profile.model_validate(with_value(profile, item.name, bound))
        assert inside.row()[item.name] == bound
        beyond = bound + (-1 if rule == "greater_than_equal" else 1)
        assert refusal(profile, with_value(profile, item.name, beyond)) == rule


@pytest.mark.parametrize(("profile", "item"), FIELDS)
@pytest.mark.parametrize(
    "value",
    ["5", "nan", "\ud800", [], {}, math.nan, math.inf, -math.inf, 10**400, -(2**63)],
    ids=repr,
)
def test_nothing_else_is_taken_for_a_value(
    profile: type[Profile], item: Feature, value: object
) -> None:
    refusal(profile, with_value(profile, item.name, value))


@pytest.mark.parametrize(("profile", "item"), BOUNDED)
def test_a_boolean_is_no_number(profile: type[Profile], item: Feature) -> None:
    assert refusal(profile, with_value(profile, item.name, True)) in ("float_type", "int_type")


@pytest.mark.parametrize("value", [0, 1, "true", "yes"])
def test_a_number_is_no_boolean(value: object) -> None:
    assert refusal(schemas.Heart, with_value(schemas.Heart, "exercise_angina", value)) == (
        "bool_type"
    )


def test_whole_numbers_may_be_written_as_floats_and_minus_zero_is_zero() -> None:
    def pregnancies(value: float) -> object:
        body = with_value(schemas.Diabetes, "pregnancies", value)
        return schemas.Diabetes.model_validate(body).row()["pregnancies"]

    assert repr(pregnancies(2.0)) == "2"
    assert repr(pregnancies(-0.0)) == "0"
    assert refusal(schemas.Diabetes, with_value(schemas.Diabetes, "pregnancies", 2.5)) == "int_type"


@pytest.mark.parametrize("profile", PROFILES)
def test_unknown_fields_are_refused(profile: type[Profile]) -> None:
    assert refusal(profile, with_value(profile, "unheard_of", 1)) == "extra_forbidden"


def test_a_refusal_s_text_never_holds_the_value() -> None:
    with pytest.raises(ValidationError) as caught:
        schemas.Diabetes.model_validate(with_value(schemas.Diabetes, "glucose", 987654.25))
    assert "987654" not in str(caught.value)


@pytest.mark.parametrize(
    ("profile", "body"),
    [
        (schemas.Fitness, {}),
        (schemas.Fitness, {"sex": "male", "age": 30, "steps": None}),
        (schemas.Comprehensive, {}),
        (schemas.Comprehensive, {"heart": None}),
    ],
)
def test_something_must_be_asked(profile: type[schemas.Body], body: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="give at least one of"):
        profile.model_validate(body)


def test_rows_encode_as_the_table_does() -> None:
    body = schemas.Heart.model_validate(schemas.Heart.table.example)
    encoded = features.HEART.encode([body.row()])
    assert features.HEART.decode(encoded[0]) == features.HEART.example
