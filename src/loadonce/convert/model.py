"""What a conversion is about: a graph, its features, and the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import onnx

FeatureType = Literal["number", "text"]
Kind = Literal["classifier", "regressor"]


class Unconvertible(Exception):
    """No graph gives this estimator's answers exactly; the message names the step and says why."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the rows.

    Args:
        name: as the estimator was trained; `x0`, `x1`, ... where it was trained without names.
        type: `number` or `text`.
        texts: of a text feature, those that the graph tells apart. The code of a text is its place
            among them, that of a missing one and of all others as `loadonce.loaders.codes` says.
        thresholds: raw values at which an answer may jump, as far as they can be traced back
            exactly: on this value, or one float beside it, a wrong comparison shows.
    """

    name: str
    type: FeatureType
    texts: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """An estimator as an ONNX model.

    Args:
        model: its input is `X`, `double`, `[None, n_features]`, in the order of training: numbers,
            where NaN is missing, and codes of texts. Where the original has `predict_proba`, a
            classifier has the output `probabilities`. If those do not tell the label, by the first
            of the largest, there is `label`: scores `[None, n_classes]` that do, or its place
            among the classes, int64 `[None]`. A regressor's output is `value`, `[None, 1]`. A row
            that the original refuses comes out as NaN.
        features: in the order of training.
        named: whether rows may come by name.
        kind: `classifier` or `regressor`.
        classes: a classifier's `classes_`, as Python values; None of a regressor.
        classes_dtype: their numpy dtype, as text; None of a regressor.
        value_dtype: the dtype of the probabilities or of the value: `float64` or `float32`.
        thresholds: the features' thresholds by name, where there are any.
    """

    model: onnx.ModelProto
    features: tuple[Feature, ...]
    named: bool
    kind: Kind
    classes: Sequence[int | str | bool | float] | None
    classes_dtype: str | None
    value_dtype: Literal["float64", "float32"]
    thresholds: Mapping[str, Sequence[float]]
