"""What a converted model says of itself: the property `loadonce.predictor` of its ONNX file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PROPERTY = "loadonce.predictor"
VERSION = 2
INPUT = "X"
"""The graph's only input: float64, (rows, features), in the order of training."""

_KINDS = frozenset(("classifier", "regressor"))
_TYPES = frozenset(("number", "text"))


@dataclass(frozen=True, slots=True)
class Refused:
    """For which features the original raised at a missing value, and at an infinite one."""

    missing: frozenset[str]
    infinite: frozenset[str]


@dataclass(frozen=True, slots=True)
class Signature:
    """The features and answers of one converted model.

    Attributes:
        kind: "classifier" or "regressor".
        names: the features, in the order of training.
        texts: those of them that take texts, and the known ones of each: the code of a text is its
            place.
        is_named: whether rows may come by name.
        classes: the labels, in the order of the probabilities; empty for a regressor.
        classes_dtype: NumPy's name of the labels' type.
        value_dtype: "float64" or "float32": what the original gives.
        refused: what the original raised for.
    """

    kind: str
    names: tuple[str, ...]
    texts: Mapping[str, tuple[str, ...]]
    is_named: bool
    classes: tuple[object, ...]
    classes_dtype: str
    value_dtype: str
    refused: Refused

    @classmethod
    def parse(cls, properties: Mapping[str, str]) -> Signature:
        """Read it from a model's properties. Raises ValueError that says what is wrong."""
        if PROPERTY not in properties:
            raise ValueError(f"no converted model: it has no property '{PROPERTY}'")
        stated = json.loads(properties[PROPERTY])
        if stated["version"] != VERSION:
            raise ValueError(
                f"'{PROPERTY}' of version {stated['version']}; only {VERSION} is known: "
                "convert the original again"
            )
        features = stated["features"]
        types = {feature["name"]: feature["type"] for feature in features}
        if stated["kind"] not in _KINDS or not _TYPES.issuperset(types.values()):
            raise ValueError(f"'{PROPERTY}' has an unknown kind of model or type of feature")
        if not types or len(types) != len(features):
            raise ValueError(f"'{PROPERTY}' has no features, or two of one name")
        return cls(
            kind=stated["kind"],
            names=tuple(types),
            texts={
                each["name"]: tuple(each["texts"]) for each in features if each["type"] == "text"
            },
            is_named=stated["named"],
            classes=tuple(stated["classes"] or ()),
            classes_dtype=stated["classes_dtype"] or "object",
            value_dtype=stated["value_dtype"],
            refused=_refused(stated["parity"].get("refuses", {"infinite": list(types)})),
        )


def _refused(stated: Mapping[str, Iterable[str]]) -> Refused:
    return Refused(frozenset(stated.get("missing", ())), frozenset(stated.get("infinite", ())))
