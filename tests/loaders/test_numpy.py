"""NumPy arrays load without pickles, copied or mapped."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest

from loadonce.errors import ConfigurationError, LoaderFailedError
from loadonce.loaders import find

ARRAY = np.arange(100_000.0).reshape(100, 1000)


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def test_arrays_and_archives_load(shelf: Any) -> None:
    shelf.put("a.npy", npy(ARRAY))
    shelf.put("b.npz", npz(x=ARRAY, y=np.array(["u"])))
    assert (shelf.load("a.npy") == ARRAY).all()
    loaded = shelf.load("b.npz")
    assert (loaded["x"] == ARRAY).all()
    assert loaded["y"].tolist() == ["u"]


def test_a_mapped_array_is_read_only_and_outlives_its_source(shelf: Any) -> None:
    shelf.put("a.npy", npy(ARRAY))
    source = shelf.locked("a.npy")
    loaded: Any = find(None, "a.npy").load(source, mmap=True)
    source.close()
    assert (loaded == ARRAY).all()
    assert isinstance(loaded, np.memmap)
    assert not loaded.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        loaded[0] = 1


def test_an_archive_cannot_be_mapped(shelf: Any) -> None:
    shelf.put("b.npz", npz(x=ARRAY))
    with pytest.raises(ConfigurationError, match=r"needs an \.npy"):
        shelf.load("b.npz", mmap=True)


@pytest.mark.parametrize("mmap", [False, True])
def test_arrays_of_objects_are_refused(shelf: Any, mmap: bool) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    shelf.put("a.npy", npy(objects))
    with pytest.raises(LoaderFailedError, match=r"(?i)object"):
        shelf.load("a.npy", mmap=mmap)


def test_an_archive_with_objects_is_refused(shelf: Any) -> None:
    shelf.put("b.npz", npz(x=np.array([None], dtype=object)))
    with pytest.raises(LoaderFailedError, match="Object arrays"):
        shelf.load("b.npz")


def test_a_header_that_declares_too_much_is_refused(shelf: Any) -> None:
    content = npy(np.zeros(3)).replace(b"(3,)", b"(9,)")
    shelf.put("a.npy", content)
    with pytest.raises(LoaderFailedError):
        shelf.load("a.npy")


def test_estimates_come_from_the_file_itself(shelf: Any) -> None:
    loader = find(None, "a.npy")
    shelf.put("a.npy", npy(ARRAY))
    shelf.put("b.npz", npz(x=ARRAY))
    assert loader.memory_estimate(shelf.locked("a.npy")) == len(npy(ARRAY))
    source = shelf.locked("b.npz")
    assert loader.memory_estimate(source) >= ARRAY.nbytes > source.size
    assert zipfile.is_zipfile(source.open())
