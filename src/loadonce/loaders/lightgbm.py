"""LightGBM models in LightGBM's own text format, not as pickles."""

from __future__ import annotations

from loadonce.artifacts import Source
from loadonce.loaders.base import Loader


def read(source: Source) -> object:
    """A `lightgbm.Booster`."""
    import lightgbm

    return lightgbm.Booster(model_str=bytes(source.data).decode("utf-8"))


LOADER = Loader(
    name="lightgbm",
    read=read,
    suffixes=(".lgb", ".lgbm"),
    extra="lightgbm",
    modules=("lightgbm",),
    libraries=("lightgbm",),
    holds_gil=False,  # the parser is C++, called through ctypes
    estimate=lambda source: 2 * source.size,
)
