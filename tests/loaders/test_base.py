"""A loader checks its options and libraries before it reads, and translates what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from loadonce.artifacts import Source
from loadonce.errors import (
    ConfigurationError,
    LoaderFailedError,
    MissingExtraError,
    QueueFullError,
)
from loadonce.loaders import Loader


def upper(source: Source, *, times: int = 1) -> object:
    return bytes(source.data).upper() * times


@pytest.fixture
def source(shelf: Any) -> Source:
    found: Source = shelf.locked(shelf.put("a.txt", b"abc"))
    return found


def test_it_reads_with_its_options(source: Source) -> None:
    loader = Loader(name="upper", read=upper)
    assert loader.load(source) == b"ABC"
    assert loader.load(source, times=2) == b"ABCABC"
    assert loader.memory_estimate(source) == 6
    assert loader.find_globals(source) == ()


def test_an_unknown_option_names_the_known_ones(source: Source) -> None:
    with pytest.raises(
        ConfigurationError, match="upper loader has no option 'tims'; it knows: times"
    ):
        Loader(name="upper", read=upper).load(source, tims=2)
    with pytest.raises(ConfigurationError, match="it knows: none"):
        Loader(name="plain", read=lambda source: source).load(source, x=1)


def test_a_module_that_is_missing_is_told_with_where_it_is_looked_for(source: Source) -> None:
    def read(source: Source) -> object:
        raise ModuleNotFoundError("No module named 'features'", name="features")

    with pytest.raises(LoaderFailedError) as caught:
        Loader(name="odd", read=read).load(source)
    assert "install 'features', or say where it lies" in str(caught.value)


def test_a_want_of_memory_is_no_wrong_format(source: Source) -> None:
    def read(source: Source) -> object:
        raise MemoryError

    with pytest.raises(LoaderFailedError) as caught:
        Loader(name="odd", read=read).load(source)
    assert caught.value.hint.endswith("load fewer models, or smaller ones")


def test_a_loader_may_take_any_option(source: Source) -> None:
    loader = Loader(name="any", read=lambda source, **options: options)
    assert loader.load(source, x=1) == {"x": 1}


def test_a_missing_library_names_the_extra_and_the_command(source: Source) -> None:
    loader = Loader(name="upper", read=upper, modules=("no_such_module",), extra="letters")
    with pytest.raises(MissingExtraError, match=r"pip install 'loadonce\[letters\]'"):
        loader.load(source)
    with pytest.raises(MissingExtraError, match="pip install no_such_module"):
        Loader(name="upper", read=upper, modules=("no_such_module",)).load(source)


def test_what_reading_raises_is_translated_and_chained(source: Source) -> None:
    def fail(source: Source) -> object:
        raise KeyError("inside")

    with pytest.raises(
        LoaderFailedError, match=r"a\.txt: the bad loader failed: KeyError"
    ) as caught:
        Loader(name="bad", read=fail).load(source)
    assert isinstance(caught.value.__cause__, KeyError)


def test_our_own_errors_and_interrupts_pass_as_they_are(source: Source) -> None:
    for error in (QueueFullError("m", "full"), KeyboardInterrupt()):

        def fail(source: Source, error: BaseException = error) -> object:
            raise error

        with pytest.raises(type(error)):
            Loader(name="bad", read=fail).load(source)


def test_an_estimate_that_fails_counts_twice_the_file(source: Source) -> None:
    loader = Loader(name="x", read=upper, estimate=lambda source: 1 // 0)
    assert loader.memory_estimate(source) == 6
