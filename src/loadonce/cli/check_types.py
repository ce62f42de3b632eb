"""Does a model's declared type fit what a handler asks for?"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from typing_extensions import get_protocol_members, is_protocol


def fits(declared: object, asked: object) -> bool:
    """Whether an object declared as `declared` may be handed to one who asks for `asked`.

    Only what is certainly wrong is refused: what cannot be told at run time fits.
    """
    declared, asked = _plain(declared), _plain(asked)
    if asked == declared or _is_open(asked) or _is_open(declared):
        return True
    if _is_union(declared):
        return all(fits(option, asked) for option in get_args(declared))
    if _is_union(asked):
        return any(fits(declared, option) for option in get_args(asked))
    found, wanted = get_origin(declared) or declared, get_origin(asked) or asked
    if not isinstance(found, type) or not isinstance(wanted, type):
        return True
    return _class_fits(found, wanted) and _arguments_fit(get_args(declared), get_args(asked))


def name_of(kind: object) -> str:
    """A type, for messages: without module names where it is a plain class."""
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)


def _class_fits(found: type, wanted: type) -> bool:
    if is_protocol(wanted):
        members = get_protocol_members(wanted)
        known = get_protocol_members(found) if is_protocol(found) else set(dir(found))
        return members <= (known | set(getattr(found, "__annotations__", ())))
    return issubclass(found, wanted)


def _arguments_fit(found: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    if len(found) != len(wanted):
        return True
    return all(fits(one, other) for one, other in zip(found, wanted, strict=True))


def _plain(kind: object) -> object:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _is_open(kind: object) -> bool:
    return kind is Any or kind is object or isinstance(kind, TypeVar)


def _is_union(kind: object) -> bool:
    return get_origin(kind) is Union or type(kind).__name__ == "UnionType"
