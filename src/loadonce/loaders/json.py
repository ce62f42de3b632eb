"""JSON documents, read strictly: no duplicate keys, no NaN or Infinity, UTF-8 only."""

from __future__ import annotations

import json
from collections import Counter
from typing import NoReturn

from loadonce.artifacts import Source
from loadonce.loaders.base import Loader


def read(source: Source, *, allow_nan: bool = False) -> object:
    """The document as dicts, lists, strings, numbers, booleans and None.

    A key given twice would silently lose one value, and NaN is not JSON, so both are errors; pass
    `allow_nan=True` for files of writers that put NaN or Infinity there.
    """
    parse = None if allow_nan else _refuse_constant
    text = bytes(source.data).decode("utf-8")
    return json.loads(text, object_pairs_hook=_unique, parse_constant=parse)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        again, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {again!r} occurs twice in one object")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; pass options={{'allow_nan': True}} to accept it")


LOADER = Loader(
    name="json",
    read=read,
    suffixes=(".json",),
    holds_gil=True,
    estimate=lambda source: 10 * source.size,  # a dict of small numbers, measured: 6 to 10 times
)
