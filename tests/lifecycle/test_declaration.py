"""Declarations: what they accept, and what they refuse where it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from loadonce import ConfigurationError, Model, Registry, Source, artifact, table
from loadonce.inference import Placement


def text(source: Source) -> str:
    return bytes(source.data).decode()


def test_a_path_object_is_as_good_as_text(locked: Callable[..., Path]) -> None:
    class Paths(Registry):
        one: Model[str] = artifact(Path("a.bin"), loader=text)
        two: Model[Mapping[str, Source]] = artifact(
            {"a": Path("a.bin"), "b": PurePosixPath("b.bin")}, loader=lambda source: source.files
        )

    models = Paths(root=locked(a="first", b="second"))
    with models.loaded():
        assert models.one.run(str) == "first"
        assert sorted(models.two.run(dict)) == ["a", "b"]
    assert models.one.status().path == "a.bin"


def test_a_path_object_of_windows_gets_forward_slashes() -> None:
    class Paths(Registry):
        rows: Model[object] = table(PureWindowsPath(r"tables\rows.parquet"))

    assert Paths().rows.status().path == "tables/rows.parquet"


@pytest.mark.parametrize("name", ["timeout", "load_timeout"])
@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_deadline_lies_in_the_future(name: str, seconds: float) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}= is in seconds, above 0"):
        artifact("a.bin", **{name: seconds})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["drain_timeout", "max_wait"])
def test_a_drain_or_a_wait_takes_no_less_than_no_time(name: str) -> None:
    artifact("a.bin", **{name: 0})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=f"{name}= is in seconds, 0 or more"):
        artifact("a.bin", **{name: -1})  # type: ignore[arg-type]


def test_calls_of_what_is_not_thread_safe_stay_in_one_thread() -> None:
    def place(placement: Placement, thread_safe: bool) -> str:
        model: Model[str] = artifact("a.bin", placement=placement, thread_safe=thread_safe)
        return model.declaration.place

    assert place("auto", True) == "auto"
    assert place("auto", False) == "thread"
    assert place("inline", False) == "inline"
