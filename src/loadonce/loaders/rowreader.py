"""How rows of one class give their values: by key, by position or by attribute.

Made once for each class, since `itemgetter` and `attrgetter` are the quickest way to many values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias

import numpy as np

from loadonce.loaders.signature import Signature

Get: TypeAlias = Callable[[Any], Iterable[object]]

WITHOUT_NAMES = "the model was trained without names; pass sequences or an array, in training order"


class MisfitError(Exception):
    """This row cannot be read; the text goes on after "row 3: "."""


@dataclass(frozen=True, slots=True)
class RowReader:
    """How rows of one class give their values.

    `values`, in the order of training, raises KeyError or AttributeError for a row that lacks one
    of `keys`, the key or attribute of each feature; MisfitError for one of another length.
    """

    values: Get
    keys: Mapping[str, Any]

    def missing_from(self, row: object) -> list[str]:
        """The features that the row lacks."""
        if isinstance(row, Mapping):
            return [name for name, key in self.keys.items() if key not in row]
        return [name for name, attribute in self.keys.items() if not hasattr(row, attribute)]


def reader_of(kind: type, signature: Signature) -> RowReader:
    """For rows of this class. Raises MisfitError if they have names and the model has not."""
    names = signature.names
    has_order_of_its_own = signature.is_named and hasattr(kind, "_fields")  # a named tuple
    if issubclass(kind, list | tuple | np.ndarray) and not has_order_of_its_own:
        return RowReader(_of_length(len(names)), {})
    if not signature.is_named:
        raise MisfitError(f"is a {kind.__name__}, but {WITHOUT_NAMES}")
    if issubclass(kind, Mapping):
        return _reader(itemgetter, {name: name for name in names})
    return _reader(attrgetter, _attributes(kind, names))


def _reader(make: Callable[..., Any], keys: Mapping[str, str]) -> RowReader:
    """`make` gives a tuple for two keys and more only."""
    get = make(*keys.values())
    return RowReader(get if len(keys) > 1 else lambda row: (get(row),), keys)


def _of_length(length: int) -> Get:
    def checked(row: Sequence[object]) -> Sequence[object]:
        if len(row) != length:
            raise MisfitError(f"has {len(row)} values, not {length}")
        return row

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
