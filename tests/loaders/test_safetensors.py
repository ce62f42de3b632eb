"""safetensors load as numpy arrays or torch tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from loadonce.errors import ConfigurationError, LoaderFailedError
from loadonce.loaders import find

WEIGHTS = {"w": np.arange(6.0).reshape(2, 3), "b": np.array([1], dtype=np.int8)}


def test_weights_load_as_arrays_or_tensors(shelf: Any) -> None:
    shelf.put("w.safetensors", save(WEIGHTS))
    arrays = shelf.load("w.safetensors")
    tensors = shelf.load("w.safetensors", as_="torch")
    for name, expected in WEIGHTS.items():
        assert (arrays[name] == expected).all()
        assert (tensors[name].numpy() == expected).all()


def test_arrays_outlive_the_source(shelf: Any) -> None:
    shelf.put("w.safetensors", save(WEIGHTS))
    source = shelf.locked("w.safetensors")
    arrays: Any = find(None, "w.safetensors").load(source)
    source.close()
    assert (arrays["w"] == WEIGHTS["w"]).all()
    assert find(None, "w.safetensors").memory_estimate(source) == source.size


def test_other_kinds_and_damaged_files_are_refused(shelf: Any) -> None:
    shelf.put("w.safetensors", save(WEIGHTS))
    with pytest.raises(ConfigurationError, match="'numpy' or 'torch', not 'jax'"):
        shelf.load("w.safetensors", as_="jax")
    shelf.put("w.safetensors", save(WEIGHTS)[:-1])
    with pytest.raises(LoaderFailedError):
        shelf.load("w.safetensors")
