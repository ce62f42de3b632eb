"""joblib files and plain pickles: sklearn pipelines above all. Every global passes the gate."""

from __future__ import annotations

import re
from typing import Any, BinaryIO

from loadonce.artifacts import Source
from loadonce.errors import ArtifactNotLockedError, MissingExtraError
from loadonce.loaders import globalnames, streams
from loadonce.loaders.base import Loader
from loadonce.loaders.gate import Gate, SlowGatedUnpickler, unpickler
from loadonce.loaders.inert import collect_globals, origin_of_object
from loadonce.observe import collection

_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_MIN_JOBLIB = (1, 6)
# How much larger than the file the object gets; a stream does not say. Measured as private memory
# after loading: a forest of 42 MB took twice that (its arrays are copied once more into the trees),
# compressed to 8 MB 10.6 times; 1.5 million small dicts 13 times their 31 MB.
_ARRAYS_GROWTH = 2
_COMPRESSED_GROWTH = 11
_OBJECTS_GROWTH = 13


def read(source: Source) -> object:
    """Unpickle, resolving only the globals of the lock entry.

    Whether arrays stand between the opcodes, as joblib writes them, is told by the lock entry (it
    then lists joblib's array wrapper), not by the bytes: else the faster unpickler will do.
    """
    if source.entry.format != LOADER.name:
        raise _not_locked_as_pickle(source)
    gate = Gate(source.name, source.entry.globals)
    file = streams.open_stream(source)
    with collection.paused():
        if _WRAPPER not in source.entry.globals:
            return unpickler(file, gate).load()
        _require_joblib(source.name)
        return JoblibUnpickler(file, gate).load()


def find_globals(source: Source) -> tuple[str, ...]:
    """What the stream would import, found without importing it."""
    return collect_globals(streams.open_stream(source))


def class_of(source: Source) -> type | None:
    """The class of the object, found without loading it; None where nobody can tell.

    Imports what the lock entry allows. The class of arrays of joblib's is their wrapper's affair.
    """
    try:
        origin = origin_of_object(streams.open_stream(source))
        if isinstance(origin, str):
            found = Gate(source.name, source.entry.globals).resolve(*globalnames.split(origin))
            return found if isinstance(found, type) and origin != _WRAPPER else None
    except Exception:  # loading will tell
        return None
    return origin


def estimate(source: Source) -> int:
    """By what the lock entry says is in it: arrays of numbers, or nothing but small objects."""
    if streams.compression(source):
        return source.size * _COMPRESSED_GROWTH
    has_arrays = "numpy.ndarray" in source.entry.globals
    return source.size * (_ARRAYS_GROWTH if has_arrays else _OBJECTS_GROWTH)


class JoblibUnpickler(SlowGatedUnpickler):
    """Reads joblib's format: after the BUILD of an array wrapper the array's own bytes follow.

    joblib before 1.6 read arrays of objects by a plain `pickle.load`, which no `find_class` of the
    outer unpickler ever saw. Here that nested stream has its own unpickler behind the same gate.
    joblib's even older format, which names other files to read, is not supported on purpose.
    """

    # What joblib's wrapper asks of the unpickler it is given.
    mmap_mode = None

    def __init__(self, file: BinaryIO, gate: Gate) -> None:
        import numpy as np
        from joblib.numpy_pickle import NumpyArrayWrapper

        super().__init__(file, gate)
        self.np = np
        self.file_handle = file
        self._wrapper: type = NumpyArrayWrapper

    def load_build(self) -> None:
        super().load_build()
        if type(self.stack[-1]) is not self._wrapper:
            return
        wrapper: Any = self.stack[-1]
        if wrapper.dtype.hasobject:
            self.stack[-1] = unpickler(self.file_handle, self._gate).load()
        else:
            self.stack[-1] = wrapper.read_array(self, ensure_native_byte_order=True)


def _require_joblib(path: str) -> None:
    from loadonce.artifacts.libraries import installed_version

    version = installed_version("joblib") or ""
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None or (int(match[1]), int(match[2])) < _MIN_JOBLIB:
        raise MissingExtraError(
            "",
            "reading joblib files safely needs joblib 1.6 or newer",
            path=path,
            found=f"joblib {version}",
            hint="pip install 'loadonce[sklearn]'",
        )


def _not_locked_as_pickle(source: Source) -> ArtifactNotLockedError:
    return ArtifactNotLockedError(
        "",
        "its lock entry does not say which globals it may use: it was locked as another format",
        path=source.name,
        expected="format joblib",
        found=f"format {source.entry.format or 'unknown'}",
        hint="give it a suffix of .joblib or .pkl and run `loadonce lock DIR`",
    )


LOADER = Loader(
    name="joblib",
    aliases=("pickle",),
    read=read,
    suffixes=(".joblib", ".pkl", ".pickle"),
    extra="sklearn",
    modules=("joblib",),
    holds_gil=True,
    estimate=estimate,
    find_globals=find_globals,
)
