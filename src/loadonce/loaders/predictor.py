"""Converted models: an ONNX file that answers as the scikit-learn pipeline it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadonce.artifacts import Source
from loadonce.loaders import onnx
from loadonce.loaders.base import Loader

if TYPE_CHECKING:
    from loadonce.loaders.predicting import Predictor


def read(source: Source) -> Predictor:
    """A `Classifier` or a `Regressor`, ready to be asked; nothing of scikit-learn is imported.

    Its session runs on the calling thread alone: calls run beside each other already.
    """
    session = onnx.read(source, arena=False)
    from loadonce.loaders.predicting import make_predictor

    return make_predictor(session)


LOADER = Loader(
    name="predictor",
    read=read,
    suffixes=(".predictor.onnx",),
    extra="onnx",
    modules=("onnxruntime", "numpy"),
    libraries=("onnxruntime",),
    holds_gil=False,
    estimate=onnx.LOADER.estimate,
)
