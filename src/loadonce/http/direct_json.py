"""Reading a JSON body into the value that FastAPI would validate it to.

FastAPI parses with Python's `json` and validates what comes out. pydantic's own parser gives the
same objects several times faster, or refuses, and then FastAPI has the word. For most models both
steps can be one, without an object in between; for some that would accept more, or other values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic_core import from_json

from .direct_internals import ModelField

# Beyond the largest float: Python refuses to make one of such an integer, one step makes infinity.
_MOST_DIGITS = 300
_ZEROS = bytes.maketrans(b"123456789", b"000000000")

_SAME = frozenset({"any", "none", "bool", "int", "float", "str", "literal", "definition-ref"})
_INSIDE = {
    "default": "schema",
    "function-after": "schema",
    "list": "items_schema",
    "model": "schema",
    "model-field": "schema",
    "nullable": "schema",
}
_DIFFERENT = ("strict", "coerce_numbers_to_str", "custom_init", "root_model", "extras_schema")


def reader_of(field: ModelField) -> Callable[[bytes], Any]:
    """What makes the value of this field from a whole body.

    It raises ValueError (pydantic's errors are some) if the body is no JSON or no valid value.
    """
    adapter = field._type_adapter
    validate, validate_json = adapter.validator.validate_python, adapter.validator.validate_json

    def in_two_steps(body: bytes) -> Any:
        return validate(from_json(body), from_attributes=True)

    def in_one_step(body: bytes) -> Any:
        if len(body) > _MOST_DIGITS and b"0" * _MOST_DIGITS in body.translate(_ZEROS):
            return in_two_steps(body)
        return validate_json(body)

    return in_one_step if is_same_in_one_step(adapter.core_schema) else in_two_steps


def is_same_in_one_step(schema: Mapping[str, Any]) -> bool:
    """Whether validating JSON gives what validating the parsed JSON gives.

    Not so for types that JSON lacks (strict ones take a text here, and unions choose by it), and
    for functions that see the raw input.
    """
    kind = schema["type"]
    if any(schema.get(name) or schema.get("config", {}).get(name) for name in _DIFFERENT):
        return False
    if kind in _SAME:
        return True
    return all(is_same_in_one_step(inner) for inner in _parts(kind, schema))


def _parts(kind: str, schema: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The schemas inside; one that is never the same where the kind is not known."""
    if kind == "definitions":
        return [schema["schema"], *schema["definitions"]]
    if kind == "model-fields":
        return list(schema["fields"].values())
    if kind == "dict":
        return [schema.get("keys_schema", _UNKNOWN), schema.get("values_schema", _UNKNOWN)]
    is_plain_name = isinstance(schema.get("validation_alias", ""), str)
    sees_no_context = kind != "function-after" or schema["function"]["type"] == "no-info"
    if kind in _INSIDE and is_plain_name and sees_no_context:
        return [schema.get(_INSIDE[kind], _UNKNOWN)]
    return [_UNKNOWN]


_UNKNOWN: Mapping[str, Any] = {"type": "", "strict": True}
