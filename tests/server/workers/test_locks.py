"""A lock file that is replaced is noticed, one that is gone is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadonce import Model, Registry, artifact, lock_directory, resource
from loadonce.errors import ConfigurationError
from loadonce.server.options import ServeOptions
from loadonce.server.workers.locks import altered, changed, entries, lock_files, stamps


class Models(Registry):
    a: Model[object] = artifact("a.json")
    b: Model[object] = artifact("b.json", root="/elsewhere")
    c: Model[object] = resource(lambda: iter([1]))


def test_every_lock_file_is_known() -> None:
    assert lock_files([Models("/models"), Models("/models")]) == [
        "/elsewhere/models.lock",
        "/models/models.lock",
    ]


def test_a_file_that_is_replaced_has_changed(tmp_path: Path) -> None:
    lock, other = tmp_path / "models.lock", tmp_path / "other"
    lock.write_text("a")
    before = stamps([str(lock), "/nowhere"])
    assert changed(before) == {}
    lock.touch()
    other.write_text("a")
    other.replace(lock)
    assert changed(before) == {}  # it says what it said
    other.write_text("b")
    other.replace(lock)
    assert list(changed(before)) == [str(lock)]
    lock.unlink()
    assert changed(before) == {}


@pytest.mark.timeout(20)
def test_a_pipe_in_its_place_keeps_nobody_waiting(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    path.write_text("a")
    before = stamps([str(path)])
    path.unlink()
    os.mkfifo(path)
    assert changed(before) == {}


def test_what_is_added_is_an_alteration_only_where_it_may_help(tmp_path: Path) -> None:
    path = str(tmp_path / "models.lock")
    nothing = entries([path])
    assert altered(nothing, entries(nothing), is_wider=True) == []
    (tmp_path / "a.json").write_text("1")
    lock_directory(tmp_path)
    assert altered(nothing, entries(nothing), is_wider=False) == []
    assert altered(nothing, entries(nothing), is_wider=True) == [path]
    before = entries([path])
    for is_wider in (False, True):
        assert altered(before, entries(before), is_wider=is_wider) == []
    (tmp_path / "a.json").write_text("2")
    lock_directory(tmp_path)
    for is_wider in (False, True):
        assert altered(before, entries(before), is_wider=is_wider) == [path]
    (tmp_path / "models.lock").unlink()
    assert altered(before, entries(before), is_wider=True) == []


def test_who_reloads_models_is_a_supervisor() -> None:
    with pytest.raises(ConfigurationError, match="needs a supervisor"):
        ServeOptions(target="main:app", reload_models=True, fork=False)
