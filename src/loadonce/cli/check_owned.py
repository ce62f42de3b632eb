"""What handlers do with models that live in processes of their own, as far as the code shows it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from loadonce.lifecycle.model import Model

from .findings import Finding
from .routes import Handler

_NOT_THERE = {
    "value": "use `run` or `batch`: nobody has its object here",
    "stream": "use `run`: results come as a whole",
}
_CALLS = ("run", "run_sync", "batch", "batch_many")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def check_owned(handler: Handler) -> Iterator[Finding]:
    """Whether a handler asks such a model for what cannot cross to its process, or from there."""
    names = {
        need.name or "": need.call.name
        for need in handler.dependant.dependencies
        if isinstance(need.call, Model) and need.call.declaration.placement == "process"
    }
    tree = code_of(handler.endpoint) if names else None
    for model, asked, hint in _refused(tree, names) if tree is not None else ():
        text = f"'{model}' lives in a process of its own, which {asked} cannot reach"
        yield Finding("error", handler.name, text, hint)


def code_of(function: Callable[..., object]) -> ast.AST | None:
    """The syntax tree of a function; None where its source is not to be had."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    except (OSError, TypeError, SyntaxError):
        return None


def _refused(tree: ast.AST, names: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """For each of these things: the model, what was asked of it, and what to do instead."""
    known = [node.name for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    inner = known[1:]  # the first is the handler itself
    for node in ast.walk(tree):
        call = node if isinstance(node, ast.Call) else None
        asked = call.func if call is not None else node
        if not (isinstance(asked, ast.Attribute) and isinstance(asked.value, ast.Name)):
            continue
        model = names.get(asked.value.id)
        if model is None:
            continue
        if call is None and asked.attr in _NOT_THERE:
            yield model, f"`{asked.attr}`", _NOT_THERE[asked.attr]
        elif call is not None and asked.attr in _CALLS and _is_nameless(call.args[:1], inner):
            yield model, "a lambda or an inner function", "give it a function of a module"


def _is_nameless(first: Sequence[ast.expr], inner: Collection[str]) -> bool:
    return any(
        isinstance(each, ast.Lambda) or (isinstance(each, ast.Name) and each.id in inner)
        for each in first
    )
