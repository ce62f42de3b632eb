"""What a conversion is about: a graph, its features, and the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import onnx

FeatureType = Literal["number", "text"]
Kind = Literal["classifier", "regressor"]

MISSING_TEXT = "\x00missing"
"""How a missing value of a text feature is sent; a number that is missing is NaN."""


class Unconvertible(Exception):
    """No graph gives this estimator's answers exactly; the message names the step and says why."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the rows.

    Args:
        name: as the estimator was trained; `x0`, `x1`, ... where it was trained without names.
        type: `number` (float64) or `text`.
        categories: the texts that the encoders know.
        thresholds: raw values at which an answer may jump, as far as they can be traced back
            exactly: on this value, or one float beside it, a wrong comparison shows.
    """

    name: str
    type: FeatureType
    categories: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """An estimator as an ONNX model.

    Args:
        model: the inputs are one per feature, by its name, shape `[None, 1]`, `double` or
            `string`; without names one input `X`, `double`, `[None, n_features]`. A classifier's
            outputs are `label` and, where the original has `predict_proba`, `probabilities`; a
            regressor's is `value`. A row that the original refuses comes out as NaN.
        features: in the order of the training.
        named: whether the inputs are one per feature.
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
