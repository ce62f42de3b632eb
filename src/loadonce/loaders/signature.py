"""What a converted model says of itself: the property `loadonce.predictor` of its ONNX file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PROPERTY = "loadonce.predictor"
VERSION = 1

_KINDS = frozenset(("classifier", "regressor"))
_TYPES = frozenset(("number", "text"))


@dataclass(frozen=True, slots=True)
class Refused:
    """For which features the original raised at a missing value, and at an infinite one."""

    missing: frozenset[str]
    infinite: frozenset[str]


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and answers of one converted model.

    Attributes:
        kind: "classifier" or "regressor".
        names: the features, in the order of training.
        numbers: those of them that take numbers.
        texts: those that take texts.
        is_named: whether there is one input for each feature, and rows may come by name.
        classes: the labels, in the order of the probabilities; empty for a regressor.
        classes_dtype: NumPy's name of the labels' type.
        value_dtype: "float64" or "float32": what the original gives.
        refused: what the original raised for.
    """

    kind: str
    names: tuple[str, ...]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
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
                f"'{PROPERTY}' of version {stated['version']}; only {VERSION} is known"
            )
        types = {feature["name"]: feature["type"] for feature in stated["features"]}
        if stated["kind"] not in _KINDS or not _TYPES.issuperset(types.values()):
            raise ValueError(f"'{PROPERTY}' has an unknown kind of model or type of feature")
        if not types or len(types) != len(stated["features"]):
            raise ValueError(f"'{PROPERTY}' has no features, or two of one name")
        return cls(
            kind=stated["kind"],
            names=tuple(types),
            numbers=tuple(name for name, kind in types.items() if kind == "number"),
            texts=tuple(name for name, kind in types.items() if kind == "text"),
            is_named=stated["named"],
            classes=tuple(stated["classes"] or ()),
            classes_dtype=stated["classes_dtype"] or "object",
            value_dtype=stated["value_dtype"],
            refused=_refused(stated["parity"].get("refuses", {"infinite": list(types)})),
        )

    @property
    def inputs(self) -> dict[str, str]:
        """The type of each input that the graph must have."""
        if not self.is_named:
            return {"X": "tensor(double)"}
        return {
            name: "tensor(string)" if name in self.texts else "tensor(double)"
            for name in self.names
        }


def _refused(stated: Mapping[str, Iterable[str]]) -> Refused:
    return Refused(frozenset(stated.get("missing", ())), frozenset(stated.get("infinite", ())))
