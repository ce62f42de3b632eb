"""Which loader reads a file: by its declared name, else by its suffix, else by an entry point."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import PurePosixPath

from loadonce.errors import LoaderFailedError, UnknownFormatError
from loadonce.loaders import (
    json,
    lightgbm,
    numpy,
    onnx,
    parquet,
    pickles,
    predictor,
    safetensors,
    skops,
    torch,
    xgboost,
)
from loadonce.loaders.base import Loader

ENTRY_POINT_GROUP = "loadonce.loaders"
BUILT_IN: tuple[Loader, ...] = (
    pickles.LOADER,
    predictor.LOADER,  # before ONNX: the longer suffix
    onnx.LOADER,
    parquet.LOADER,
    json.LOADER,
    numpy.LOADER,
    torch.WEIGHTS,
    torch.SCRIPT,
    torch.EXPORTED,
    safetensors.LOADER,
    skops.LOADER,
    xgboost.LOADER,
    lightgbm.LOADER,
)


def find(declared: str | None, path: str) -> Loader:
    """The loader for an artifact. The file is not looked at.

    Args:
        declared: a format name; None means by the suffix of `path`.
        path: the artifact's path.

    Raises:
        UnknownFormatError: nothing answers to that name or suffix.
        MissingExtraError: its library is not installed.
        LoaderFailedError: an entry point could not be imported.
    """
    loader = find_any(declared, path)
    if loader is None:
        raise _unknown(declared, path)
    loader.require_libraries(path)
    return loader


def find_any(declared: str | None, path: str) -> Loader | None:
    """Like `find`, but None for an unknown format, and without looking for the library."""
    ending = PurePosixPath(path).name.lstrip(".").lower()  # a hidden file's name is no suffix
    return next((loader for loader in _all(path) if _answers(loader, declared, ending)), None)


def _all(path: str) -> Iterator[Loader]:
    yield from BUILT_IN
    for entry_point in _third_party(tuple(sys.path)):
        yield _load(entry_point, path)


@lru_cache(maxsize=1)
def _third_party(_where: tuple[str, ...]) -> metadata.EntryPoints:
    """Looked for once: it opens a file of every package installed, some 10 ms for a hundred."""
    return metadata.entry_points(group=ENTRY_POINT_GROUP)


def _answers(loader: Loader, declared: str | None, ending: str) -> bool:
    if declared is not None:
        return declared == loader.name or declared in loader.aliases
    return ending.endswith(loader.suffixes)


def _load(entry_point: metadata.EntryPoint, path: str) -> Loader:
    problem = f"the third-party loader '{entry_point.name}' ({entry_point.value}) "
    try:
        loader = entry_point.load()
    except Exception as exc:
        raise LoaderFailedError("", f"{problem}could not be imported: {exc}", path=path) from exc
    if not isinstance(loader, Loader):
        raise LoaderFailedError("", f"{problem}is not a loadonce.loaders.Loader", path=path)
    return loader


def _unknown(declared: str | None, path: str) -> UnknownFormatError:
    names = ", ".join(loader.name for loader in BUILT_IN)
    suffix = PurePosixPath(path).suffix
    return UnknownFormatError(
        "",
        f"no loader is called '{declared}'"
        if declared is not None
        else f"no loader reads the suffix '{suffix}'",
        path=path,
        expected=f"one of: {names}",
        hint="declare loader=<one of these names>, or loader=<your function of a Source>",
    )
