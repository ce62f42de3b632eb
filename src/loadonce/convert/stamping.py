"""What a converted file says of itself: the property `loadonce.predictor`, read by its loader."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from loadonce.convert.report import Proof
from loadonce.loaders.signature import PROPERTY, VERSION

if TYPE_CHECKING:
    from loadonce.convert.model import Feature, Graph


def stamp(
    graph: Graph,
    source: Mapping[str, str],
    proof: Proof,
    refuses: Mapping[str, Sequence[str]],
) -> bytes:
    """The graph's bytes, with its features, its source and its proof written in.

    Args:
        graph: the proved one.
        source: `path` and `sha256` of the original.
        proof: how it was compared.
        refuses: by kind of value the features for which the original raises.
    """
    parity = {**_figures(proof), "refuses": refuses}
    stated = {**described(graph), "source": dict(source), "parity": parity}
    model = type(graph.model)()
    model.CopyFrom(graph.model)
    model.metadata_props.add(key=PROPERTY, value=json.dumps(stated))
    return bytes(model.SerializeToString())


def described(graph: Graph) -> dict[str, object]:
    """What the property says of the graph itself."""
    return {
        "version": VERSION,
        "kind": graph.kind,
        "features": [_feature(each) for each in graph.features],
        "named": graph.named,
        "classes": None if graph.classes is None else list(graph.classes),
        "classes_dtype": graph.classes_dtype,
        "value_dtype": graph.value_dtype,
    }


def _feature(feature: Feature) -> dict[str, object]:
    stated: dict[str, object] = {"name": feature.name, "type": feature.type}
    return stated | ({"texts": list(feature.texts)} if feature.type == "text" else {})


def _figures(proof: Proof) -> dict[str, int | float]:
    figures = asdict(proof)
    del figures["differing"], figures["differences"]
    return figures
