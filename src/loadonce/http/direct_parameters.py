"""What a function takes from path, query, headers and cookies, with the values FastAPI gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import Headers, QueryParams

from .direct_exchange import Exchange
from .direct_internals import (
    ModelField,
    field_annotation_is_sequence,
    param_aliases,
    param_model,
    request_params_to_args,
)

_UNKNOWN = object()
_UNCHANGING = (str, int, float, bool, type(None))

_Scalar = tuple[str, str, Callable[..., Any], object]


class Parameters:
    """The parameters of one function that come from one place.

    Args:
        source: "path_params", "query_params", "headers" or "cookies".
        fields: FastAPI's.
    """

    def __init__(self, source: str, fields: list[ModelField]) -> None:
        self._source = source
        self._fields = fields
        are_scalars = all(_is_scalar(field) for field in fields)
        self._scalars = [_scalar(field) for field in fields] if are_scalars else None

    def values(self, exchange: Exchange) -> dict[str, Any]:
        """The arguments.

        Raises:
            ValueError: something is wrong with one of them.
        """
        received = self._received(exchange)
        if self._scalars is None:
            return self._asked(received)
        found: dict[str, Any] = {}
        for name, alias, validate, absent in self._scalars:
            given = received.get(alias)
            if given is not None:
                found[name] = validate(given, from_attributes=True)
            elif absent is _UNKNOWN:
                return self._asked(received)
            else:
                found[name] = absent
        return found

    def _received(self, exchange: Exchange) -> Mapping[str, Any]:
        scope = exchange.scope
        if self._source == "query_params":
            return QueryParams(scope["query_string"])
        if self._source == "path_params":
            found: Mapping[str, Any] = scope["path_params"]
            return found
        return Headers(scope=scope) if self._source == "headers" else exchange.connection.cookies

    def _asked(self, received: Mapping[str, Any]) -> dict[str, Any]:
        values, errors = request_params_to_args(self._fields, received)
        if errors:
            raise ValueError(self._source)
        return values


def _is_scalar(field: ModelField) -> bool:
    """Whether the field has one name and takes one text."""
    is_one = len(param_aliases(field)) == 1 and param_model(field) is None
    return is_one and not field_annotation_is_sequence(field.field_info.annotation)


def _scalar(field: ModelField) -> _Scalar:
    """Name, name in the request, validation, and the value where the request has none."""
    ((_, alias),) = param_aliases(field)
    return field.name, alias, field._type_adapter.validator.validate_python, _default_of(field)


def _default_of(field: ModelField) -> object:
    info = field.field_info
    if info.is_required() or info.default_factory is not None or info.validate_default:
        return _UNKNOWN
    return info.default if isinstance(info.default, _UNCHANGING) else _UNKNOWN
