"""Values as JSON trees, exactly typed, and the bytes of arrays and buffers beside them.

No pickle: nothing that arrives can run code other than the classes it names, and of these only
dataclasses, pydantic models, enumerations and named tuples are made, field by field. A copy equals
its original; validators and `__post_init__` do not run again.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Literal

from loadonce.errors import ConfigurationError

from .names import find, name_of

Tree = Any
Place = Any
Put = Callable[[int], tuple[Place, memoryview]]
"""Reserves so many bytes; returns where they are, for the tree, and the memory to fill."""
Take = Callable[[Place, bool], Any]
"""The memory that a `Place` names: to be copied at once, or, if asked for, the caller's own."""

_MARK = "$"
_PLAIN = frozenset({str, int, float, bool, type(None)})
_TEXTS: Mapping[type, Callable[[str], object]] = {
    complex: complex,
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
    decimal.Decimal: decimal.Decimal,
    uuid.UUID: uuid.UUID,
}
_SERIES: Mapping[type, Callable[[Any], object]] = {
    tuple: tuple,
    set: set,
    frozenset: frozenset,
}
_BYTES: Mapping[type, Callable[[Any], object]] = {
    bytes: bytes,
    bytearray: bytearray,
    memoryview: memoryview,
}
_BY_NAME: Mapping[str, type] = {kind.__name__: kind for kind in (*_TEXTS, *_SERIES, *_BYTES)}


def to_tree(value: object, put: Put) -> Tree:
    """`value` as JSON can hold it.

    Raises:
        ConfigurationError: a value of a type that cannot cross.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        items: Any = value
        if _PLAIN.issuperset(map(type, items)):
            return items
        return [to_tree(each, put) for each in items]
    if kind is dict:
        return _dict_tree(value, put)
    return {_MARK: _marked(kind, value, put)}


def from_tree(tree: Tree, take: Take) -> Any:
    """What `to_tree` was given, or its equal."""
    kind = type(tree)
    if kind is list:
        if _PLAIN.issuperset(map(type, tree)):
            return tree
        return [from_tree(each, take) for each in tree]
    if kind is not dict:
        return tree
    if _MARK in tree:
        return _restored(tree[_MARK][0], tree[_MARK][1], take)
    return {name: from_tree(each, take) for name, each in tree.items()}


def _dict_tree(value: Any, put: Put) -> Tree:
    if _MARK not in value and all(type(key) is str for key in value):
        if _PLAIN.issuperset(map(type, value.values())):
            return value
        return {key: to_tree(each, put) for key, each in value.items()}
    return {_MARK: ["dict", [[to_tree(k, put), to_tree(v, put)] for k, v in value.items()]]}


def _marked(kind: type, value: Any, put: Put) -> Tree:
    name = kind.__name__
    if kind in _SERIES:
        return [name, [to_tree(each, put) for each in value]]
    if kind in _BYTES:
        return [name, _put_bytes(value, put)]
    if kind in _TEXTS:
        return [name, str(value) if kind is not datetime.time else value.isoformat()]
    if kind is datetime.timedelta:
        return ["timedelta", [value.days, value.seconds, value.microseconds]]
    if isinstance(value, enum.Flag):  # several together have no name of their own
        return ["flag", [*name_of(kind), value.value]]
    if isinstance(value, enum.Enum):
        return ["enum", [*name_of(kind), value.name]]
    if "numpy" in sys.modules:
        import numpy

        if isinstance(value, numpy.ndarray | numpy.generic):
            return _array_tree(value, put)
    if isinstance(value, PurePath):
        return ["path", [*name_of(kind), str(value)]]
    fields = _fields_of(kind, value)
    if fields is None:
        raise ConfigurationError(
            f"a {kind.__module__}.{kind.__qualname__} cannot be sent to a model's own process: "
            "pass plain values, bytes, NumPy arrays, dataclasses or pydantic models"
        )
    how, state = fields
    return [how, [*name_of(kind), {key: to_tree(each, put) for key, each in state.items()}]]


def _restored(how: str, what: Any, take: Take) -> Any:
    if how == "dict":
        return {from_tree(key, take): from_tree(each, take) for key, each in what}
    if how == "timedelta":
        return datetime.timedelta(*what)
    if how == "array":
        return _restored_array(what, take)
    if how in ("enum", "flag", "path", "dataclass", "pydantic", "namedtuple"):
        module, qualname, state = what
        return _restored_of(how, find(module, qualname), state, take)
    kind = _BY_NAME[how]
    if kind in _SERIES:
        return _SERIES[kind](from_tree(each, take) for each in what)
    return _TEXTS[kind](what) if kind in _TEXTS else _BYTES[kind](bytearray(take(what, False)))


def _put_bytes(value: Any, put: Put) -> Place:
    view = memoryview(value)
    if not view.c_contiguous:
        view = memoryview(view.tobytes())
    place, target = put(view.nbytes)
    if view.nbytes:
        target[:] = view.cast("B")
    return place


# -- NumPy -------------------------------------------------------------------------------------


def _array_tree(value: Any, put: Put) -> Tree:
    import numpy

    if not (type(value) in (numpy.ndarray, numpy.memmap) or isinstance(value, numpy.generic)):
        kind = type(value)
        raise ConfigurationError(
            f"a {kind.__module__}.{kind.__qualname__} cannot be sent to a model's own process, it "
            "would arrive as a plain array: send `numpy.asarray` of it, and beside it what that "
            "leaves out"
        )
    description = numpy.lib.format.dtype_to_descr(value.dtype)
    if value.dtype.hasobject or numpy.lib.format.descr_to_dtype(description) != value.dtype:
        raise ConfigurationError(
            f"a NumPy array of dtype {value.dtype} cannot be sent to a model's own process: use "
            "numbers, booleans, dates or strings of fixed length"
        )
    is_fortran = value.flags.f_contiguous and not value.flags.c_contiguous
    order: Literal["F", "C"] = "F" if is_fortran else "C"
    place, target = put(value.nbytes)
    if value.nbytes:
        copy: Any = numpy.ndarray(value.shape, value.dtype, target, order=order)
        copy[...] = value
    is_scalar = isinstance(value, numpy.generic)
    shape = list(value.shape)
    return ["array", [to_tree(description, put), shape, order, is_scalar, place]]


def _restored_array(what: Any, take: Take) -> Any:
    import numpy

    description, shape, order, is_scalar, place = what
    dtype = numpy.lib.format.descr_to_dtype(from_tree(description, take))
    memory = take(place, True)
    if len(memory):
        array: Any = numpy.ndarray(shape, dtype, memory, order=order)
    else:
        array = numpy.zeros(shape, dtype, order)  # an empty text, too, has one place for a letter
    return array[()] if is_scalar else array


# -- classes of the app ------------------------------------------------------------------------


def _fields_of(kind: Any, value: Any) -> tuple[str, Mapping[str, Any]] | None:
    """How to send an object of such a class, and what it consists of; None if nobody knows."""
    if dataclasses.is_dataclass(kind):
        state = {each.name: getattr(value, each.name) for each in dataclasses.fields(kind)}
        return "dataclass", state
    if _is_pydantic(kind):
        return "pydantic", value.__getstate__()
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return "namedtuple", value._asdict()
    return None


def _restored_of(how: str, kind: Any, state: Any, take: Take) -> Any:
    is_class = isinstance(kind, type)
    if not is_class:
        raise _unknown(kind)
    if how == "enum" and issubclass(kind, enum.Enum):
        return kind[state]
    if how == "flag" and issubclass(kind, enum.Flag):
        return kind(state)
    if how == "path" and issubclass(kind, PurePath):
        return kind(state)
    values = from_tree(state, take)
    if how == "namedtuple" and issubclass(kind, tuple):
        return _make_named_tuple(kind, values)
    if how == "dataclass" and dataclasses.is_dataclass(kind):
        return _make_dataclass(kind, values)
    if how == "pydantic" and _is_pydantic(kind):
        return _make_model(kind, values)
    raise _unknown(kind)


def _make_named_tuple(kind: Any, values: Any) -> Any:
    _check_names(kind, values, kind._fields)
    return kind(**values)


def _make_dataclass(kind: Any, values: Any) -> Any:
    _check_names(kind, values, [each.name for each in dataclasses.fields(kind)])
    made = kind.__new__(kind)
    for name, each in values.items():
        object.__setattr__(made, name, each)
    return made


def _make_model(kind: Any, values: Any) -> Any:
    _check_names(kind, values["__dict__"], kind.model_fields)
    made = kind.__new__(kind)
    made.__setstate__(values)
    return made


def _is_pydantic(kind: type) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(kind, pydantic.BaseModel)


def _check_names(kind: Any, found: Any, known: Any) -> None:
    if set(found) != set(known):
        raise ConfigurationError(
            f"{kind.__qualname__} has other fields in the other process: {sorted(found)}"
        )


def _unknown(kind: object) -> ConfigurationError:
    return ConfigurationError(f"{kind!r} came from another process and is not what it says")
