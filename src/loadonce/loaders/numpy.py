"""NumPy arrays: .npy gives one array, .npz a dict of them. Never arrays of pickled objects."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

from loadonce.artifacts import Source
from loadonce.errors import ConfigurationError
from loadonce.loaders.base import Loader

if TYPE_CHECKING:
    import numpy as np


def read(source: Source, *, mmap: bool = False) -> np.ndarray | dict[str, np.ndarray]:
    """The array, or with the suffix .npz a dict of arrays by name. Arrays of objects are refused.

    Args:
        mmap: map the verified bytes instead of copying them. The array is read-only and its pages
            are shared with forked workers. Only for .npy.
    """
    import numpy as np

    if source.suffix == ".npz":
        if mmap:
            raise ConfigurationError("mmap=True needs an .npy file; an .npz is an archive")
        with np.lib.npyio.NpzFile(source.open(), own_fid=True, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    if mmap:
        return np.lib.format.open_memmap(os.fspath(source), mode="r")
    return np.lib.format.read_array(source.open(), allow_pickle=False)


def estimate(source: Source) -> int:
    """Arrays take what they take in the file; an archive states the sizes of its members."""
    if source.suffix != ".npz":
        return source.size
    with zipfile.ZipFile(source.open()) as archive:
        return sum(member.file_size for member in archive.infolist())


LOADER = Loader(
    name="numpy",
    read=read,
    suffixes=(".npy", ".npz"),
    extra="numpy",
    modules=("numpy",),
    libraries=("numpy",),
    holds_gil=False,
    estimate=estimate,
)
