"""The types that models are declared with: do they fit what handlers ask for?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from typing_extensions import get_protocol_members, is_protocol

from loadonce.lifecycle.model import Model
from loadonce.lifecycle.registry import Registry

from .findings import Finding


def check_types(registry: Registry) -> Iterator[Finding]:
    """Whether each model's `Model[T]` can be evaluated, so that the start can compare with it."""
    kind = type(registry)
    try:
        hints = get_type_hints(kind)
    except Exception as error:
        yield Finding(
            "warning",
            kind.__name__,
            f"the annotations cannot be evaluated, so loaded objects are not compared with their "
            f"types: {error}",
            "import these names at run time, not under TYPE_CHECKING; declare the registry at "
            "module level",
        )
        return
    for model in registry:
        if get_origin(hints.get(model.name)) is not Model:
            yield Finding(
                "warning",
                f"{kind.__name__}.{model.name}",
                "no `Model[T]` annotation, so neither checkers nor the start know its type",
                f"write `{model.name}: Model[...] = ...`",
            )


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
