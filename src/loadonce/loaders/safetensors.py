"""safetensors files: a dict of arrays by name. The format cannot carry code."""

from __future__ import annotations

import os

from loadonce.artifacts import Source
from loadonce.errors import ConfigurationError
from loadonce.loaders.base import Loader


def read(source: Source, *, as_: str = "numpy") -> dict[str, object]:
    """A dict of `numpy.ndarray`, or of `torch.Tensor` with `as_="torch"`."""
    if as_ == "numpy":
        from safetensors.numpy import load_file as load_arrays

        return dict(load_arrays(os.fspath(source)))
    if as_ == "torch":
        from safetensors.torch import load_file as load_tensors

        return dict(load_tensors(os.fspath(source)))
    raise ConfigurationError(f"as_ must be 'numpy' or 'torch', not {as_!r}")


LOADER = Loader(
    name="safetensors",
    read=read,
    suffixes=(".safetensors",),
    extra="safetensors",
    modules=("safetensors",),
    libraries=("safetensors",),
    holds_gil=False,
    estimate=lambda source: source.size,
)
