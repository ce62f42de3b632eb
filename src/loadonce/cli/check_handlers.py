"""Handlers against the models they ask for."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ForwardRef, get_args, get_origin

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_typed_signature
from starlette.applications import Starlette

from loadonce.errors import ConfigurationError
from loadonce.lifecycle.handle import Handle
from loadonce.lifecycle.model import Model, Raw

from .check_owned import check_owned, code_of
from .check_types import fits, name_of
from .findings import Finding
from .routes import Handler, handlers


def check_handlers(app: Starlette) -> Iterator[Finding]:
    """Whether what each handler declares fits the models it depends on."""
    for handler in handlers(app):
        found = [*_check_dependant(handler.name, handler.dependant), *_check_endpoint(handler)]
        found += check_owned(handler)
        models = sorted({model.name for model in models_of(handler.dependant)})
        if models and not found:
            yield Finding("ok", handler.name, f"fits {', '.join(models)}")
        yield from found


def models_of(dependant: Dependant) -> Iterator[Model[Any]]:
    """The models that a handler or one of its dependencies asks for."""
    for need in dependant.dependencies:
        if isinstance(need.call, Model):
            yield need.call
        elif isinstance(need.call, Raw):
            yield need.call.model
        yield from models_of(need)


def _check_dependant(place: str, dependant: Dependant) -> Iterator[Finding]:
    """The handler itself, or one of its dependencies, and in turn what that depends on."""
    annotations = _annotations(dependant.call) if dependant.call is not None else {}
    for need in dependant.dependencies:
        if isinstance(need.call, Model | Raw):
            asked = annotations.get(need.name or "", inspect.Parameter.empty)
            yield from _check_fit(place, need.name or "", need.call, asked)
        else:
            yield from _check_dependant(place, need)
    for field in dependant.query_params:
        kind: object = field.field_info.annotation
        if isinstance(kind, ForwardRef) and "Depends(" in kind.__forward_arg__:
            yield Finding(
                "error",
                place,
                f"'{field.name}' became a query parameter: {kind.__forward_arg__} cannot be "
                "evaluated where the handler is defined",
                "declare the registry at module level, or remove `from __future__ import "
                "annotations` from this module",
            )


def _check_fit(
    place: str, name: str, dependency: Model[Any] | Raw[Any], asked: object
) -> Iterator[Finding]:
    model = dependency.model if isinstance(dependency, Raw) else dependency
    try:
        declared = model.slot.declared_type()
    except ConfigurationError as error:
        yield Finding("error", place, f"'{name}': {error}")
        return
    is_raw = isinstance(dependency, Raw)
    is_handle = (get_origin(asked) or asked) is Handle
    if asked in (inspect.Parameter.empty, Any, object):
        return
    if is_raw == is_handle:
        needed = f"Depends(models.{model.name}{'' if is_handle else '.raw'})"
        given = "the object itself" if is_raw else "a handle"
        yield Finding(
            "error",
            place,
            f"'{name}' is declared as {_shown(asked)} but is given {given}",
            f"write {needed}, or change the annotation",
        )
        return
    wanted = (get_args(asked) or (object,))[0] if is_handle else asked
    if not fits(declared, wanted):
        yield Finding(
            "error",
            place,
            f"'{name}' asks for {name_of(wanted)}, but model '{model.name}' is declared as "
            f"{name_of(declared)}",
            "name the model that was meant, or its declared type",
        )


def _check_endpoint(handler: Handler) -> Iterator[Finding]:
    is_async = inspect.iscoroutinefunction(inspect.unwrap(handler.endpoint))
    for need in handler.dependant.dependencies:
        if not isinstance(need.call, Raw):
            continue
        model = need.call.model
        if is_async:
            yield Finding(
                "warning",
                handler.name,
                f"an `async def` handler takes the plain object of '{model.name}': each call on it "
                "stops all other requests",
                "make the handler a plain `def`, or take a Handle and `await handle.run(...)`",
            )
        elif not model.declaration.thread_safe:
            yield Finding(
                "warning",
                handler.name,
                f"'{model.name}' is declared thread_safe=False, but its plain object is used by "
                "several requests at a time",
                "take a Handle and use `handle.run_sync(...)`",
            )
    if _batches_lambda(handler.endpoint):
        yield Finding(
            "warning",
            handler.name,
            "a lambda is given to batch(): it is a new function each time, so requests never "
            "share a call",
            "give it a function of the module",
        )


def _batches_lambda(call: Callable[..., object]) -> bool:
    tree = code_of(call)
    return tree is not None and any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("batch", "batch_many")
        and bool(node.args)
        and isinstance(node.args[0], ast.Lambda)
        for node in ast.walk(tree)
    )


def _annotations(call: Callable[..., object]) -> dict[str, object]:
    """Parameter names to types, as FastAPI evaluates them, without `Annotated`."""
    found: dict[str, object] = {}
    for name, parameter in get_typed_signature(call).parameters.items():
        kind = parameter.annotation
        found[name] = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return found


def _shown(kind: object) -> str:
    return f"Handle[{name_of(get_args(kind)[0])}]" if get_args(kind) else name_of(kind)
