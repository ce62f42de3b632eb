"""Does an object fit its declared type, and does its golden example come out as recorded?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from typing_extensions import get_protocol_members, is_protocol

from loadonce.artifacts import Golden
from loadonce.errors import WrongTypeError


def missing_from(declared: object, value: object) -> str:
    """What `value` lacks to be a `declared`; "" if nothing, or if it cannot be told at run time.

    Protocols are checked by `hasattr` on the object itself: `isinstance` would accept a
    scikit-learn pipeline whose last step has no `predict_proba`.
    """
    origin = get_origin(declared) or declared
    if origin is Union or type(declared).__name__ == "UnionType":
        reasons = [missing_from(option, value) for option in get_args(declared)]
        return "" if "" in reasons else reasons[0]
    if not isinstance(origin, type) or origin in (object, Any):
        return ""
    if is_protocol(origin):
        members = sorted(get_protocol_members(origin))
        missing = [name for name in members if not hasattr(value, name)]
        shown = f"a {type(value).__name__} without {', '.join(missing)}"
        return shown if missing else ""
    if not isinstance(value, origin):
        return _named(type(value))
    return _missing_from_items(get_args(declared), value)


def missing_from_each(declared: object, kind: type) -> str:
    """What every object of the class `kind` lacks to be a `declared`; "" if some may be one.

    A class does not tell which attributes its objects have, so it may be any protocol.
    """
    origin = get_origin(declared) or declared
    if origin is Union or type(declared).__name__ == "UnionType":
        reasons = [missing_from_each(option, kind) for option in get_args(declared)]
        return "" if "" in reasons else reasons[0]
    if not isinstance(origin, type) or origin in (object, Any) or is_protocol(origin):
        return ""
    return "" if issubclass(kind, origin) else _named(kind)


def wrong_type(model: str, declared: object, found: str) -> WrongTypeError:
    """The error for an object that lacks what it was declared as.

    Args:
        model: the model's name.
        declared: its type.
        found: what `missing_from` tells.
    """
    return WrongTypeError(
        model,
        "the loaded object is not of the declared type",
        expected=name_of_type(declared),
        found=found,
        hint="declare the type that the artifact holds, or restore the right artifact",
    )


def _named(kind: type) -> str:
    return f"a {kind.__module__}.{kind.__qualname__}"


def _missing_from_items(arguments: tuple[Any, ...], value: object) -> str:
    if isinstance(value, Mapping) and len(arguments) == 2:
        for key, item in value.items():
            if reason := missing_from(arguments[1], item):
                return f"under {key!r} {reason}"
    return ""


def name_of_type(declared: object) -> str:
    """The declared type, for messages."""
    return str(getattr(declared, "__name__", declared))


def golden_mismatch(golden: Golden, value: Any) -> str:
    """How the golden example's output differs from the recorded one; "" if it does not."""
    function = getattr(value, golden.method) if golden.method else value
    return _difference(golden.output, _plain(function(golden.input)), golden, "output")


def _plain(output: object) -> object:
    tolist = getattr(output, "tolist", None)
    return tolist() if callable(tolist) else output


def _difference(expected: object, found: object, golden: Golden, where: str) -> str:
    found = _plain(found)
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping) or set(expected) != set(found):
            return f"{where}: other keys"
        pairs = [(f"{where}.{key}", expected[key], found[key]) for key in expected]
    elif isinstance(expected, Sequence) and not isinstance(expected, str):
        if isinstance(found, str) or not isinstance(found, Sequence):
            return f"{where}: expected {len(expected)} items, found a {type(found).__name__}"
        if len(expected) != len(found):
            return f"{where}: expected {len(expected)} items, found {len(found)}"
        pairs = [
            (f"{where}[{index}]", one, other)
            for index, (one, other) in enumerate(zip(expected, found, strict=True))
        ]
    elif isinstance(expected, int | float) and isinstance(found, int | float):
        same = math.isclose(expected, found, rel_tol=golden.rtol, abs_tol=golden.atol)
        return "" if same else f"{where}: expected {expected!r}, found {found!r}"
    else:
        return "" if expected == found else f"{where}: another value or type"
    differences = (_difference(one, other, golden, place) for place, one, other in pairs)
    return next((difference for difference in differences if difference), "")
