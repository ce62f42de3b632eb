"""A stub that fails the test when it is called where it would block every other request."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar, cast

from loadonce.inference.engine import Engine
from loadonce.inference.execution import run_job

T = TypeVar("T")

_PLACES = {Engine.run_now.__code__, Engine.batch_now.__code__, run_job.__code__}


class CalledOnLoopError(AssertionError):
    """A model was called on the event loop, where a slow call stops every other request."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was called on the event loop; use `await handle.run(function)` or `await "
            "handle.batch(function, item)`, or take `.raw` in a `def` handler"
        )


def OffLoop(target: T, /) -> T:  # reads as the thing it makes
    """`target`, every call of which fails if it is made on an event loop's thread::

        with models.diabetes.override(OffLoop(Certain())), TestClient(app) as client:
            ...

    Methods, the object itself if it can be called, and special methods such as indexing are
    watched; coroutine functions and attributes that are no functions are not. In a dict each item
    is watched instead, for models of several parts. A call that `run` or `batch` put on the loop,
    because such calls were measured to be short, is where it belongs.

    Raises:
        CalledOnLoopError: from the call, in the handler; a `TestClient` raises it in the test.
    """
    if isinstance(target, dict):
        return cast(T, {key: OffLoop(item) for key, item in target.items()})
    kind: type[object] = type(target)
    return cast(T, _watched_type(kind)(target))


class _Watched:
    """Forwards everything to its target; calls only off the event loop."""

    __slots__ = ("_loadonce_target",)

    def __init__(self, target: object) -> None:
        object.__setattr__(self, "_loadonce_target", target)

    def __getattr__(self, name: str) -> Any:
        target = object.__getattribute__(self, "_loadonce_target")
        found = getattr(target, name)
        if not callable(found) or isinstance(found, type) or _is_asynchronous(found):
            return found
        return _watch(found, f"{type(target).__name__}.{name}")

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._loadonce_target, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._loadonce_target, name)

    def __repr__(self) -> str:
        return f"OffLoop({self._loadonce_target!r})"


# Python looks special methods up on the type, past __getattr__.
_SPECIAL = tuple(
    f"__{name}__"
    for name in (
        *("call", "len", "getitem", "setitem", "delitem", "contains", "iter", "next", "array"),
        *("bool", "int", "float", "index", "eq", "ne", "lt", "le", "gt", "ge", "hash"),
        *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "neg", "abs"),
        *("radd", "rsub", "rmul", "rtruediv", "rmatmul", "enter", "exit"),
    )
)
_NEVER_SLOW = frozenset({"__hash__", "__eq__", "__ne__", "__bool__", "__len__"})


def _watched_type(of: type[object]) -> type[_Watched]:
    """A class like `of`, for `isinstance` too, whose special methods forward."""
    methods: dict[str, Any] = {
        name: _forward(name) for name in _SPECIAL if getattr(of, name, None) is not None
    }
    methods |= {"__slots__": (), "__class__": property(lambda _self: of)}
    return type(f"OffLoop[{of.__name__}]", (_Watched,), methods)


def _forward(name: str) -> Callable[..., Any]:
    def special(self: _Watched, *args: Any, **kwargs: Any) -> Any:
        target = object.__getattribute__(self, "_loadonce_target")
        method = getattr(type(target), name)
        if name not in _NEVER_SLOW and not _is_asynchronous(method):
            _check(f"{type(target).__name__}.{name}")
        return method(target, *args, **kwargs)

    return special


def _watch(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    def watched(*args: Any, **kwargs: Any) -> Any:
        _check(what)
        return function(*args, **kwargs)

    return functools.update_wrapper(watched, function)


def _check(what: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if not _is_placed_by_engine():
        raise CalledOnLoopError(what)


def _is_placed_by_engine() -> bool:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code not in _PLACES:
        frame = frame.f_back
    return frame is not None


def _is_asynchronous(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
