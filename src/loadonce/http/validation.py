"""What was wrong with a request, field by field, without repeating a single value of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .problems import BAD_REQUEST, UNPROCESSABLE, Problem

_MOST_ERRORS = 32  # a list of a million bad items is told by its first ones
_UNKNOWN = "(unknown field)"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}")
_SOME_RULE = "Input does not satisfy a rule of this field"

# Rules of pydantic whose message is fixed or made from the declaration alone.
_TELLING = frozenset(
    """
    bool_parsing bool_type bytes_too_long bytes_too_short bytes_type complex_str_parsing
    complex_type dataclass_exact_type dataclass_type date_from_datetime_inexact date_future
    date_past date_type datetime_future datetime_past datetime_type decimal_max_digits
    decimal_max_places decimal_parsing decimal_type decimal_whole_digits deque_type dict_type enum
    extra_forbidden finite_number float_parsing float_type frozen_field frozen_instance
    frozen_set_type greater_than greater_than_equal int_from_float int_parsing int_parsing_size
    int_type invalid_key is_instance_of is_subclass_of iterable_type json_type less_than
    less_than_equal list_type literal_error missing missing_argument
    missing_keyword_only_argument missing_positional_only_argument model_attributes_type model_type
    multiple_of named_tuple_type none_required recursion_loop set_item_not_hashable set_type
    string_not_ascii string_pattern_mismatch string_too_long string_too_short string_type
    string_unicode time_delta_type time_type timezone_aware timezone_naive tuple_type
    unexpected_keyword_argument unexpected_positional_argument union_tag_not_found url_scheme
    url_too_long url_type uuid_type uuid_version
    """.split()  # noqa: SIM905  # a list would take a page
)

# The others quote the input, or may: said here without it.
_RETOLD = {
    "bytes_invalid_encoding": "Data should be valid {encoding}",
    "date_from_datetime_parsing": "Input should be a valid date or datetime",
    "date_parsing": "Input should be a valid date in the format YYYY-MM-DD",
    "datetime_from_date_parsing": "Input should be a valid datetime or date",
    "datetime_object_invalid": "Input should be a valid datetime",
    "datetime_parsing": "Input should be a valid datetime",
    "json_invalid": "Input should be valid JSON",
    "mapping_type": "Input should be a valid mapping",
    "time_delta_parsing": "Input should be a valid timedelta",
    "time_parsing": "Input should be in a valid time format",
    "timezone_offset": "Timezone offset of {tz_expected} required",
    "too_long": "{field_type} should have at most {max_length} items",
    "too_short": "{field_type} should have at least {min_length} items",
    "union_tag_invalid": "The field {discriminator} should be one of {expected_tags}",
    "url_parsing": "Input should be a valid URL",
    "url_syntax_violation": "Input should be a valid URL",
    "uuid_parsing": "Input should be a valid UUID",
}


class RuleViolation(ValueError):
    """Raise it in a validator of yours to have its text shown to the client.

    The text of any other `ValueError` is withheld, because it may quote what was submitted.

    Args:
        message: the rule in words, e.g. "diastolic must be below systolic"; a constant, never made
            from submitted values.
    """


def validation_problem(errors: Sequence[Any]) -> Problem:
    """The problem for pydantic's errors: `errors` lists field, rule and message of each.

    Answers 400 if the body is no JSON at all, 422 otherwise.
    """
    if _is_malformed_body(errors):
        return not_json("The body is not valid JSON.")
    return unprocessable([_entry(error) for error in errors[:_MOST_ERRORS]], total=len(errors))


def not_json(detail: str) -> Problem:
    """The problem for a body that cannot be read at all."""
    return Problem(BAD_REQUEST, "Malformed request body", detail, code="loadonce:malformed-body")


def unprocessable(errors: Sequence[Mapping[str, object]], *, total: int = 0) -> Problem:
    """The problem for a request that can be read but breaks rules.

    Args:
        errors: what `entry` makes; not more than a few dozen.
        total: how many there were, if not all are listed.
    """
    count = max(total, len(errors))
    more = f"; the first {len(errors)} are listed" if count > len(errors) else ""
    return Problem(
        UNPROCESSABLE,
        "Invalid request",
        f"{count} rule{'s' if count != 1 else ''} broken{more}",
        code="loadonce:invalid-request",
        errors=list(errors),
    )


def entry(field: Iterable[object], rule: str, message: str) -> dict[str, object]:
    """One item of `errors`; a name in `field` that could be anything is not repeated."""
    return {"field": [_safe(part) for part in field], "rule": rule, "message": message}


def _entry(error: Mapping[str, Any]) -> dict[str, object]:
    rule = str(error.get("type", ""))
    return entry(error.get("loc", ()), rule, _message(rule, error))


def _message(rule: str, error: Mapping[str, Any]) -> str:
    context = error.get("ctx") or {}
    if isinstance(context.get("error"), RuleViolation):
        return str(context["error"])
    if rule in _TELLING:
        return str(error.get("msg", _SOME_RULE))
    try:
        return _RETOLD[rule].format_map(context)
    except KeyError:
        return _SOME_RULE


def _safe(part: object) -> str | int:
    if isinstance(part, int):
        return part
    return part if isinstance(part, str) and _NAME.fullmatch(part) else _UNKNOWN


def _is_malformed_body(errors: Sequence[Any]) -> bool:
    """FastAPI's own error for a body that is no JSON, unlike a field's that should hold JSON."""
    if len(errors) != 1 or errors[0].get("type") != "json_invalid":
        return False
    where = errors[0].get("loc", ())
    return len(where) == 2 and isinstance(where[1], int)
