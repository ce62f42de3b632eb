"""skops files: sklearn models without pickle. What they may construct comes from the lock entry."""

from __future__ import annotations

from loadonce.artifacts import Source
from loadonce.loaders.base import Loader


def read(source: Source) -> object:
    """The model. Types beyond skops's own list must be in the lock entry."""
    import skops.io

    return skops.io.loads(bytes(source.data), trusted=list(source.entry.globals))


def find_globals(source: Source) -> tuple[str, ...]:
    """The types skops does not trust by itself; it reads them without constructing anything."""
    import skops.io

    return tuple(sorted(skops.io.get_untrusted_types(data=bytes(source.data))))


LOADER = Loader(
    name="skops",
    read=read,
    suffixes=(".skops",),
    extra="skops",
    modules=("skops",),
    libraries=("skops", "scikit-learn"),
    holds_gil=True,
    estimate=lambda source: 4 * source.size,  # a zip of JSON and arrays, compressed or not
    find_globals=find_globals,
)
