"""Fitted estimators to ONNX graphs that give the same answers: convert once, serve without them."""

from __future__ import annotations

from loadonce.convert.conversion import convert_directory, convert_file, convertible_files
from loadonce.convert.model import Feature, Graph, Unconvertible
from loadonce.convert.report import Conversion, Difference, Options, Proof

__all__ = [
    "Conversion",
    "Difference",
    "Feature",
    "Graph",
    "Options",
    "Proof",
    "Unconvertible",
    "convert_directory",
    "convert_file",
    "convertible_files",
]
