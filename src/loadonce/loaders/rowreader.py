"""How rows of one class give their values: by key, by position or by attribute.

Made once for each class, since `itemgetter` and `attrgetter` are the quickest way to many values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias

import numpy as np

from loadonce.loaders.signature import Signature

Get: TypeAlias = Callable[[Any], Sequence[object]]

WITHOUT_NAMES = "the model was trained without names; pass sequences or an array, in training order"


class MisfitError(Exception):
    """This row cannot be read; the text goes on after "row 3: "."""


@dataclass(frozen=True, slots=True)
class RowReader:
    """How rows of one class give their values.

    `numbers` and `texts` raise KeyError or AttributeError for a row that lacks one of `keys`, the
    key or attribute of each feature; MisfitError for one of another length.
    """

    numbers: Get
    texts: Get
    keys: Mapping[str, Any]

    def missing_from(self, row: object) -> list[str]:
        """The features that the row lacks."""
        if isinstance(row, Mapping):
            return [name for name, key in self.keys.items() if key not in row]
        return [name for name, attribute in self.keys.items() if not hasattr(row, attribute)]


def reader_of(kind: type, signature: Signature) -> RowReader:
    """For rows of this class. Raises MisfitError if they have names and the model has not."""
    names = signature.names
    if issubclass(kind, list | tuple | np.ndarray):
        keys: dict[str, Any] = {name: position for position, name in enumerate(names)}
        reader = _reader(itemgetter, keys, signature)
        return RowReader(_of_length(len(names), reader.numbers), reader.texts, keys)
    if not signature.is_named:
        raise MisfitError(f"is a {kind.__name__}, but {WITHOUT_NAMES}")
    if issubclass(kind, Mapping):
        return _reader(itemgetter, {name: name for name in names}, signature)
    return _reader(attrgetter, _attributes(kind, names), signature)


def _reader(make: Callable[..., Get], keys: dict[str, Any], signature: Signature) -> RowReader:
    return RowReader(
        _all_of(make, [keys[name] for name in signature.numbers]),
        _all_of(make, [keys[name] for name in signature.texts]),
        keys,
    )


def _all_of(make: Callable[..., Any], keys: Sequence[Any]) -> Get:
    """`make` gives a tuple for two keys and more only."""
    if not keys:
        return lambda row: ()
    get = make(*keys)
    return get if len(keys) > 1 else lambda row: (get(row),)


def _of_length(length: int, get: Get) -> Get:
    def checked(row: Sequence[object]) -> Sequence[object]:
        if len(row) != length:
            raise MisfitError(f"has {len(row)} values, not {length}")
        return get(row)

    return checked


def _attributes(kind: type, names: Sequence[str]) -> dict[str, str]:
    """A feature may have the name of an attribute, or the alias of a pydantic field."""
    fields: Mapping[str, Any] = getattr(kind, "model_fields", {})
    by_alias = {
        alias: attribute
        for attribute, field in fields.items()
        for alias in (field.validation_alias, field.serialization_alias)
        if isinstance(alias, str)
    }
    return {name: name if name in fields else by_alias.get(name, name) for name in names}
