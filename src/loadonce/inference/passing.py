"""Functions as keys of a dictionary that keeps none of them alive.

A stand-in has the hash of its function and equals it, so the dictionary finds it by the function
itself. A function that stands for itself costs nothing more.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any

_Function = Callable[..., object]
_Gone = Callable[[Any], object]


def as_key(function: _Function, gone: _Gone) -> object:
    """A key that `function` finds: a stand-in, or itself if it was defined once and for all, or
    cannot be referenced weakly.

    Args:
        gone: called with the stand-in, in any thread, once nobody has the function.
    """
    try:
        if isinstance(function, MethodType):
            return _Method(function, gone)
        kind: Any = type(function)
        if is_of_a_module(function) or kind.__eq__ is not object.__eq__:
            return function  # of those that equal each other, the next one is to be known, too
        return _Object(function, gone)
    except TypeError:
        return function


def is_of_a_module(function: _Function) -> bool:
    """Whether it is a function or class of a module, or a function of such a class."""
    return "<" not in getattr(function, "__qualname__", "<")


class _Object(weakref.ref[_Function]):
    __slots__ = ()
    __hash__ = weakref.ref.__hash__  # the function's

    def __eq__(self, other: object) -> bool:
        return self is other or self() is other


class _Method(weakref.WeakMethod[_Function]):
    __slots__ = ("_hash",)
    _hash: int

    def __new__(cls, method: _Function, gone: _Gone) -> _Method:
        made = super().__new__(cls, method, gone)
        made._hash = hash(method)
        return made

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or self() == other
