"""What clients send: one strict model per body, made from the same table as the training.

Ranges, units, levels and examples come from `features`, so that API, page, training and model
cards agree by construction. Strict: a boolean is no number, a numeric string is no number, unknown
fields and values that are not finite are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from loadonce.http import RuleViolation

from . import features
from .features import Feature, FeatureSet, Row


def _whole(value: object) -> object:
    """JSON has one number type: 2.0 is a whole number, 2.5 is left for the validator to refuse."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Body(BaseModel):
    """What every body has in common."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Profile(Body):
    """One row of a model: its values by field name."""

    table: ClassVar[FeatureSet]

    def row(self) -> Row:
        """The values by the name of their feature; None for not known."""
        return self.model_dump()


P = TypeVar("P", bound=Profile)


def _fields_of(table: FeatureSet) -> Callable[[type[P]], type[P]]:
    """Give a class one field for each feature of `table`."""

    def with_fields(cls: type[P]) -> type[P]:
        fields: dict[str, Any] = {item.name: _field(item) for item in table.features}
        made = create_model(
            cls.__name__, __base__=cls, __module__=cls.__module__, __doc__=cls.__doc__, **fields
        )
        made.table = table
        return made

    return with_fields


_KINDS: dict[str, type] = {"number": float, "integer": int, "boolean": bool}


def _field(item: Feature) -> tuple[Any, Any]:
    """The type and the constraints of one feature, as `create_model` takes them."""
    kind: Any = _KINDS[item.kind] if item.kind in _KINDS else Literal[item.levels]
    bounds: dict[str, Any] = {"ge": item.low, "le": item.high}
    limits = Field(**{name: bound for name, bound in bounds.items() if bound is not None})
    whole = (BeforeValidator(_whole),) if item.kind == "integer" else ()
    limited: Any = Annotated[(kind, limits, *whole)]
    about = Field(
        default=None if item.optional else ...,
        title=item.name.replace("_", " ").capitalize(),
        description=_description(item),
        examples=[item.example],
        json_schema_extra={"unit": item.unit} if item.unit else None,
    )
    return (limited | None if item.optional else limited), about


def _description(item: Feature) -> str:
    unit = f", in {item.unit}" if item.unit else ""
    absent = "; null or absent: not known" if item.optional else ""
    return f"{item.meaning[:1].upper()}{item.meaning[1:]}{unit}{absent}."


def _example_of(table: FeatureSet) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [dict(table.example)]})


@_fields_of(features.DIABETES)
class Diabetes(Profile):
    """Measurements for the risk of diabetes within five years."""

    model_config = _example_of(features.DIABETES)


@_fields_of(features.HEART)
class Heart(Profile):
    """Findings for the risk of coronary heart disease."""

    model_config = _example_of(features.HEART)


@_fields_of(features.STROKE)
class Stroke(Profile):
    """Circumstances and diagnoses for the risk of having had a stroke."""

    model_config = _example_of(features.STROKE)


@_fields_of(features.BREAST_CANCER)
class BreastCancer(Profile):
    """The thirty measurements of a fine-needle aspirate (Wisconsin Diagnostic set)."""

    model_config = _example_of(features.BREAST_CANCER)


@_fields_of(features.SLEEP)
class Sleep(Profile):
    """Measurements and habits for the risk of trouble sleeping."""

    model_config = _example_of(features.SLEEP)


@_fields_of(features.LIFE_EXPECTANCY)
class LifeExpectancy(Profile):
    """Figures of a country in one year, for its life expectancy at birth."""

    model_config = _example_of(features.LIFE_EXPECTANCY)


@_fields_of(features.INSURANCE)
class Insurance(Profile):
    """Circumstances and diagnoses for a year's health spending."""

    model_config = _example_of(features.INSURANCE)


METRICS = ("steps", "calories", "minutes_asleep", "resting_heart_rate", "active_minutes")


@_fields_of(features.FITNESS)
class Fitness(Profile):
    """One day's figures to compare with other people's days; at least one of them."""

    model_config = _example_of(features.FITNESS)

    @model_validator(mode="after")
    def _something_to_compare(self) -> Fitness:
        row = self.row()
        if all(row[metric] is None for metric in METRICS):
            raise RuleViolation(f"give at least one of {', '.join(METRICS)}")
        return self


class Comprehensive(Body):
    """Several risks of one person at once; at least one of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "diabetes": dict(features.DIABETES.example),
                    "heart": dict(features.HEART.example),
                    "stroke": dict(features.STROKE.example),
                }
            ]
        }
    )

    diabetes: Diabetes | None = Field(default=None, title="Diabetes")
    heart: Heart | None = Field(default=None, title="Heart")
    stroke: Stroke | None = Field(default=None, title="Stroke")

    @model_validator(mode="after")
    def _something_to_assess(self) -> Comprehensive:
        if self.diabetes is None and self.heart is None and self.stroke is None:
            raise RuleViolation("give at least one of diabetes, heart, stroke")
        return self


class EncodedImage(Body):
    """A picture inside a JSON body."""

    image_base64: str = Field(
        title="Image",
        min_length=1,
        description="A PNG or JPEG file in base64 (RFC 4648, no line breaks), at most 10 MiB and "
        "25 megapixels when decoded.",
        json_schema_extra={"contentEncoding": "base64"},
    )
