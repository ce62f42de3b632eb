"""Exceptions that cross between processes, as a class's name and what it says."""

from __future__ import annotations

import builtins
import traceback
from pathlib import Path
from typing import Any

import loadonce.errors
from loadonce.errors import CallFailedError, ConfigurationError

from .codec import Put, Take, Tree, from_tree, to_tree

_PLAIN = (str, int, float, bool, type(None))


def error_tree(model: str, error: BaseException, put: Put) -> Tree:
    """An exception as JSON can hold it: errors of loadonce and Python's own by their class, groups
    and all others by its name."""
    kind = type(error)
    where = _where(error)
    if vars(loadonce.errors).get(kind.__name__) is kind:
        state = {name: each for name, each in vars(error).items() if isinstance(each, _PLAIN)}
        return ["loadonce", kind.__name__, _arguments(error, put), state, where]
    if vars(builtins).get(kind.__name__) is kind and not isinstance(error, BaseExceptionGroup):
        return ["builtins", kind.__name__, _arguments(error, put), {}, where]
    name = f"{kind.__module__}.{kind.__qualname__}"
    return ["other", name, [model, _text(error)], {}, where]


def bare_tree(model: str, error: BaseException) -> Tree:
    """Its class's name and where it was raised, which is left of one that says what cannot
    cross."""
    kind = type(error)
    name = f"{kind.__module__}.{kind.__qualname__}"
    return ["other", name, [model, ""], {}, _where(error)]


def error_of(tree: Tree, take: Take) -> Exception:
    """The exception that the other process sent."""
    home, name, arguments, state, where = tree
    if home == "other":
        model, text = from_tree(arguments, take)
        return CallFailedError(model, name, where, text)
    values = from_tree(arguments, take)
    if home == "loadonce":
        kind = getattr(loadonce.errors, name)
        error: Exception = kind.__new__(kind, *values)
        error.args = tuple(values)
        vars(error).update(state)
    else:
        error = _builtin(name, values)
    if where:
        error.add_note(f"raised in the model's own process, {where}")
    return error


def _builtin(name: str, values: Any) -> Exception:
    kind = getattr(builtins, name)
    try:
        made = kind(*values)
    except TypeError:  # made by other arguments than it keeps
        made = kind.__new__(kind)
        made.args = tuple(values)
    return made if isinstance(made, Exception) else RuntimeError(f"the call raised {name}")


def _arguments(error: BaseException, put: Put) -> Tree:
    try:
        return to_tree(list(error.args), put)
    except ConfigurationError:
        return [_text(error)]


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # of code that is not ours
        return ""


def _where(error: BaseException) -> str:
    """The innermost line that is not loadonce's: "app.py:12"."""
    ours = Path(loadonce.errors.__file__).parent
    lines = [
        f"{Path(frame.f_code.co_filename).name}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if ours not in Path(frame.f_code.co_filename).parents
    ]
    return lines[-1] if lines else ""
