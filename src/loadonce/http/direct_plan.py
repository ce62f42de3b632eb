"""What a direct route does, decided when it is declared: which functions, with which arguments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import fastapi.routing
from fastapi import params
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from starlette.responses import Response
from starlette.routing import Route

from loadonce.lifecycle.model import Model, Raw

from .direct_internals import (
    ModelField,
    is_async_gen_callable,
    is_coroutine_callable,
    is_gen_callable,
)
from .direct_parameters import Parameters

# What integrations wrap, to watch or change what a route does; the short way passes these by.
_STAGES: tuple[tuple[Any, str], ...] = (
    (fastapi.routing, "get_request_handler"),
    (fastapi.routing, "request_response"),
    (fastapi.routing, "run_endpoint_function"),
    (fastapi.routing, "serialize_response"),
    (fastapi.routing, "solve_dependencies"),
    (fastapi.routing.APIRoute, "handle"),
    (Route, "handle"),
)


class NotDirectError(Exception):
    """A route does something that only FastAPI's own path knows; the text says what."""


@dataclass(frozen=True, slots=True)
class Step:
    """One function of a route, a dependency or the endpoint, and where its arguments come from.

    Attributes:
        call: the function, or the model whose handle (or object) it stands for.
        is_coroutine: awaited on the loop; otherwise called in a thread.
        is_leased: a model, of which the request gets a lease.
        parameters: what comes from path, query, headers and cookies.
        results: by argument, the place of the step whose result it is.
        requests: the arguments that are the request itself.
        response, background: the arguments that take response headers and background tasks.
    """

    call: Any
    is_coroutine: bool
    is_leased: bool = False
    parameters: tuple[Parameters, ...] = ()
    results: tuple[tuple[str, int], ...] = ()
    requests: tuple[str, ...] = ()
    response: str | None = None
    background: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is known of a direct route before its first request."""

    path: str | None
    endpoint: Step
    steps: tuple[Step, ...]
    body: ModelField | None
    is_strict: bool
    is_default_class: bool
    response_class: type[Response]
    response_field: ModelField | None
    response_options: dict[str, Any]
    status_code: int | None
    provider: Any
    calls: frozenset[Any] = field(default_factory=frozenset)


def plan_of(route: Any) -> Plan:
    """What to do for `route`, an `APIRoute` or what FastAPI knows of one in an included router.

    Raises:
        NotDirectError: it is not one of the shapes that are known here.
    """
    dependant: Dependant = route.dependant
    _refuse_unknown(route, dependant)
    steps = _Steps()
    endpoint = steps.step_of(dependant)
    is_default_class = isinstance(route.response_class, DefaultPlaceholder)
    names = ("include", "exclude", "by_alias", "exclude_unset", "exclude_defaults", "exclude_none")
    return Plan(
        path=dependant.path,
        endpoint=endpoint,
        steps=tuple(steps.steps),
        body=_body_of(route, dependant),
        is_strict=_value(route.strict_content_type),
        is_default_class=is_default_class,
        response_class=_value(route.response_class),
        response_field=route.response_field,
        response_options={name: getattr(route, f"response_model_{name}") for name in names},
        status_code=route.status_code,
        provider=route.dependency_overrides_provider,
        calls=frozenset(step.call for step in steps.steps),
    )


class _Steps:
    """Dependencies in the order FastAPI calls them, each once."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._places: dict[Any, int] = {}

    def place_of(self, dependant: Dependant) -> int:
        """Where the result of this dependency will stand."""
        call = dependant.call
        name = _name_of(call)
        if not dependant.use_cache:
            raise NotDirectError(f"the dependency {name} is not cached (use_cache=False)")
        if dependant.concurrency is not None:
            raise NotDirectError(f"the dependency {name} has a limit of its own")
        if dependant.scope is not None:
            raise NotDirectError(f"the dependency {name} has a scope ({dependant.scope})")
        if dependant.body_params:
            raise NotDirectError(f"the dependency {name} takes the body")
        if not _is_hashable(call):
            raise NotDirectError(f"the dependency {name} cannot be hashed")
        step = self.step_of(dependant)
        if call not in self._places:
            self._places[call] = len(self.steps)
            self.steps.append(step)
        return self._places[call]

    def step_of(self, dependant: Dependant) -> Step:
        call = dependant.call
        if type(call) in (Model, Raw):
            return Step(call, is_coroutine=True, is_leased=True)
        if dependant.own_oauth_scopes or dependant.security_scopes_param_name:
            raise NotDirectError(f"{_name_of(call)} is about security scopes")
        if is_gen_callable(call) or is_async_gen_callable(call):
            raise NotDirectError(f"{_name_of(call)} yields")
        results = [(sub.name, self.place_of(sub)) for sub in dependant.dependencies]
        requests = (dependant.request_param_name, dependant.http_connection_param_name)
        return Step(
            call,
            is_coroutine=is_coroutine_callable(call),
            parameters=tuple(_parameters(dependant)),
            results=tuple((name, place) for name, place in results if name is not None),
            requests=tuple(name for name in requests if name is not None),
            response=dependant.response_param_name,
            background=dependant.background_tasks_param_name,
        )


def _refuse_unknown(route: Any, dependant: Dependant) -> None:
    for place, name in _STAGES:
        if not _is_frameworks_own(getattr(place, name)):
            raise NotDirectError(f"something has put itself in the place of FastAPI's {name}")
    if is_gen_callable(dependant.call) or is_async_gen_callable(dependant.call):
        raise NotDirectError("it streams what it yields")
    if route.max_body_size is not None:
        raise NotDirectError("it has a max_body_size")


def _is_frameworks_own(found: object) -> bool:
    """Whether it is a function of FastAPI's or Starlette's, not one wrapped around it."""
    if not isinstance(found, FunctionType):
        return False
    home = sys.modules.get(found.__module__)
    is_at_home = home is not None and found.__globals__ is vars(home)
    return is_at_home and found.__module__.startswith(("fastapi.", "starlette."))


def _body_of(route: Any, dependant: Dependant) -> ModelField | None:
    found: ModelField | None = route.body_field
    if found is None:
        return None
    if isinstance(found.field_info, params.Form):
        raise NotDirectError("it takes a form")
    if route._embed_body_fields or len(dependant.body_params) != 1:
        raise NotDirectError("its body has several parameters, or an embedded one")
    return dependant.body_params[0]


def _parameters(dependant: Dependant) -> Iterator[Parameters]:
    sources: Sequence[tuple[str, list[ModelField]]] = (
        ("path_params", dependant.path_params),
        ("query_params", dependant.query_params),
        ("headers", dependant.header_params),
        ("cookies", dependant.cookie_params),
    )
    return (Parameters(source, fields) for source, fields in sources if fields)


def _value(setting: Any) -> Any:
    return setting.value if isinstance(setting, DefaultPlaceholder) else setting


def _name_of(call: Callable[..., Any] | None) -> str:
    return str(getattr(call, "__name__", None) or type(call).__name__)


def _is_hashable(call: Any) -> bool:
    try:
        hash(call)
    except TypeError:
        return False
    return True
