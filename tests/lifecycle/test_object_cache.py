"""What another process may load for an app, and when the app may adopt it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadonce import Model, Registry, artifact, lock_directory, resource
from loadonce.artifacts import LockFile
from loadonce.lifecycle.object_cache import LoadRequest, NotCacheableError, ObjectCache, request_of
from loadonce.observe.events import Events

pytestmark = pytest.mark.anyio


class Models(Registry):
    one: Model[Any] = artifact("one.npy")
    same: Model[Any] = artifact("one.npy", required=False, close=print)
    several: Model[Any] = artifact({"x": "one.npy", "y": "more/two.npy"})
    folder: Model[Any] = artifact("more", loader="numpy")
    named: Model[Any] = artifact("one.npy", loader="numpy", root=lambda: Path("elsewhere"))
    new: Model[Any] = artifact("new.npy")
    late: Model[Any] = artifact("one.npy", when="background")
    odd: Model[Any] = artifact("one.npy", options={"a": print})
    pairs: Model[Any] = artifact("one.npy", options={"a": (1, 2)})
    unknown: Model[Any] = artifact("one.unknown")
    own: Model[Any] = artifact("one.npy", loader=lambda source: source.size)
    pool: Model[Any] = resource(lambda: iter([1]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("one", "more/two"):
        path = tmp_path / f"{name}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.arange(3))
    lock_directory(tmp_path)
    return tmp_path


def request(root: Path, name: str, own: str = "") -> LoadRequest:
    return request_of(Models()[name].slot, root, lambda module: module == own)


def test_what_leads_to_the_same_object_is_the_same_request(root: Path) -> None:
    assert request(root, "one").key == request(root, "one").key == request(root, "same").key
    others = {request(root, name).key for name in ("one", "several", "folder")}
    assert len(others) == 3


@pytest.mark.parametrize("change", ["bytes", "lock", "gone"])
def test_what_has_changed_is_another(root: Path, change: str) -> None:
    before = request(root, "one").key
    if change == "gone":
        (root / "one.npy").unlink()
        with pytest.raises(NotCacheableError, match="cannot be looked at"):
            request(root, "one")
        return
    if change == "bytes":
        np.save(root / "one.npy", np.arange(4))
    else:
        lock = LockFile.read(root)
        lock.with_entry(replace(lock.entries["one.npy"], version="v2")).write(root)
    assert request(root, "one").key != before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pool", "a resource"),
        ("late", 'when="background"'),
        ("own", "a loader of the app's own"),
        ("odd", "no plain values"),
        ("pairs", "no plain values"),
        ("new", "not in models.lock yet"),
        ("named", "not in models.lock yet"),
        ("unknown", "not in models.lock yet"),  # whose load tells that nobody reads it
    ],
)
def test_what_needs_the_app_itself_is_left_to_it(root: Path, name: str, reason: str) -> None:
    with pytest.raises(NotCacheableError, match=reason):
        request(root, name)


def test_a_loader_that_is_the_apps_own_is_no_library(root: Path) -> None:
    with pytest.raises(NotCacheableError, match="the app's own"):
        request(root, "one", own="loadonce.loaders.numpy")


async def test_an_object_is_loaded_once_and_handed_to_who_asks_for_the_same(root: Path) -> None:
    cache = ObjectCache()
    requests = [request(root, "one"), request(root, "several")]
    assert cache.lacks(requests)
    await cache.load(requests, Events())
    assert not cache.lacks(requests)
    models = Models(root)
    before = cache.objects[requests[0].key].value
    assert cache.hand_over(models.same.slot, requests[0])
    assert models.same.slot.inherited is not None
    assert models.same.slot.inherited.value is before
    assert models.same.slot.inherited.model == "same"
    assert not cache.hand_over(models.folder.slot, request(root, "folder"))


async def test_what_is_not_asked_for_any_more_is_let_go(root: Path) -> None:
    cache = ObjectCache()
    await cache.load([request(root, "one")], Events())
    await cache.load([request(root, "several")], Events())
    assert list(cache.objects) == [request(root, "several").key]


async def test_what_cannot_be_loaded_is_tried_once(root: Path) -> None:
    wanted = request(root, "one")
    content = (root / "one.npy").read_bytes()
    status = (root / "one.npy").stat()
    (root / "one.npy").write_bytes(b"x" * len(content))
    os.utime(root / "one.npy", ns=(status.st_atime_ns, status.st_mtime_ns))
    cache = ObjectCache()
    await cache.load([wanted], Events())
    assert not cache.lacks([wanted])
    assert cache.objects == {}
    await cache.load([request(root, "several")], Events())
    assert cache.lacks([wanted])  # once others are asked for it may be tried again
