"""Who loads beside whom; and registries or first uses that meet the end of a start or of a run."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import joblib
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadonce import (
    Model,
    NotReadyError,
    Registry,
    Source,
    StartupError,
    State,
    artifact,
    lock_directory,
)

pytestmark = pytest.mark.anyio

Locked = Callable[..., Path]
Write = Callable[[dict[str, int]], Awaitable[Path]]

# `meet` ends well only while as many read at the same time as the barrier wants; `note` tells
# whether anybody else was reading.
MODULE = """
import threading, time
from loadonce.loaders import Loader

barrier = threading.Barrier(2, timeout=PATIENCE)
order, crowds, inside = [], [], set()

def meet(source):
    barrier.wait()
    return source.name

def note(source):
    inside.add(source.name)
    order.append(source.name)
    time.sleep(0.02)
    crowds.append(len(inside))
    inside.discard(source.name)
    return source.name

HOLDS = Loader(name="holds", read=meet, suffixes=(".holds",), holds_gil=True)
FREES = Loader(name="frees", read=meet, suffixes=(".frees",), holds_gil=False)
NOTED = Loader(name="noted", read=note, suffixes=(".noted",), holds_gil=True)
"""
ENTRY_POINTS = """
[loadonce.loaders]
holds = lanes_of_others:HOLDS
frees = lanes_of_others:FREES
noted = lanes_of_others:NOTED
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Any]:
    """`third_party(patience)` installs the loaders above, as pip would; gives their module."""

    def install(patience: float) -> Any:
        site = tmp_path / "site"
        info = site / "lanes_of_others-1.0.dist-info"
        info.mkdir(parents=True)
        (site / "lanes_of_others.py").write_text(MODULE.replace("PATIENCE", str(patience)))
        metadata = "Metadata-Version: 2.1\nName: lanes-of-others\nVersion: 1.0\n"
        (info / "METADATA").write_text(metadata)
        (info / "entry_points.txt").write_text(ENTRY_POINTS)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, "lanes_of_others", raising=False)
        importlib.invalidate_caches()
        return importlib.import_module("lanes_of_others")

    return install


@pytest.fixture
def root(tmp_path: Path) -> Write:
    """`await root({"a.holds": 10})` makes a locked directory of files with these sizes."""

    def lock(sizes: dict[str, int]) -> Path:
        directory = tmp_path / "models"
        directory.mkdir()
        for name, size in sizes.items():
            (directory / name).write_bytes(b"x" * size)
        lock_directory(directory)
        return directory

    async def write(sizes: dict[str, int]) -> Path:
        return await asyncio.to_thread(lock, sizes)

    return write


def two(first: str, second: str) -> type[Registry]:
    class Two(Registry):
        a: Model[str] = artifact(first)
        b: Model[str] = artifact(second)

    return Two


# -- lanes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("a.frees", "b.frees"), ("a.holds", "b.frees")])
async def test_loaders_that_release_the_interpreter_lock_load_beside_others(
    third_party: Callable[[float], Any], root: Write, names: tuple[str, str]
) -> None:
    third_party(10)
    async with two(*names)(root=await root(dict.fromkeys(names, 10))).running():
        pass  # both met


async def test_loaders_that_hold_the_interpreter_lock_never_meet(
    third_party: Callable[[float], Any], root: Write
) -> None:
    third_party(0.3)
    names = ("a.holds", "b.holds")
    with pytest.raises(StartupError, match="BrokenBarrierError"):
        async with two(*names)(root=await root(dict.fromkeys(names, 10))).running():
            raise AssertionError("unreachable")


async def test_one_file_whose_loader_holds_the_lock_keeps_the_whole_model_in_its_lane(
    third_party: Callable[[float], Any], root: Write
) -> None:
    module = third_party(0.3)

    class Mixed(Registry):
        several: Model[dict[str, str]] = artifact({"x": "a.noted", "y": "b.frees"})
        other: Model[str] = artifact("c.holds")

    with pytest.raises(StartupError, match="BrokenBarrierError"):
        async with Mixed(root=await root({"a.noted": 9, "b.frees": 9, "c.holds": 9})).running():
            raise AssertionError("unreachable")
    assert module.order == ["a.noted"]


@pytest.mark.parametrize("declared", ["small big middle", "big middle small", "middle small big"])
async def test_those_that_hold_the_lock_load_one_at_a_time_the_largest_first(
    third_party: Callable[[float], Any], root: Write, declared: str
) -> None:
    module = third_party(10)
    sizes = {"small": 10, "middle": 1000, "big": 100_000}
    directory = await root({f"{name}.noted": size for name, size in sizes.items()})
    first, second, third = (f"{name}.noted" for name in declared.split())

    class Three(Registry):
        a: Model[str] = artifact(first)
        b: Model[str] = artifact(second)
        c: Model[str] = artifact(third)

    models = Three(root=directory)
    async with models.running():
        assert [model.state for model in models] == [State.READY] * 3
    assert module.order == ["big.noted", "middle.noted", "small.noted"]
    assert module.crowds == [1, 1, 1]


def _write_network(path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Abs", ["x"], ["y"])], "g", [value], [])
    graph.output.append(onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1]))
    opsets = [onnx.helper.make_opsetid("", 20)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9), path)


def _fill(directory: Path) -> Path:
    for name in ("a", "b"):
        _write_network(directory / f"{name}.onnx")
        pq.write_table(pa.table({"n": [1]}), directory / f"{name}.parquet")
        joblib.dump({"n": 1}, directory / f"{name}.joblib")
    lock_directory(directory)
    return directory


@pytest.mark.parametrize(
    ("names", "are_together"),
    [
        (("a.onnx", "a.parquet"), True),
        (("a.onnx", "b.onnx"), True),
        (("a.onnx", "a.joblib"), True),
        (("a.joblib", "b.joblib"), False),
    ],
)
async def test_networks_and_tables_load_beside_others_and_pickles_one_at_a_time(
    tmp_path: Path, names: tuple[str, str], are_together: bool
) -> None:
    """Both have begun before either is tried out, or only one has."""

    class Two(Registry):
        a: Model[object] = artifact(names[0])
        b: Model[object] = artifact(names[1])

    models = Two(root=await asyncio.to_thread(_fill, tmp_path))
    seen: list[str] = []
    models.events.subscribe(lambda event: seen.append(event.what))
    async with models.running():
        steps = [what for what in seen if what in ("loading", "warming")]
    together, apart = ["loading", "loading", "warming", "warming"], ["loading", "warming"] * 2
    assert steps == (together if are_together else apart)


# -- what meets the end ------------------------------------------------------------------------


class Gated:
    """A loader that tells when it has begun and ends when it is let."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()

    def __call__(self, source: Source) -> str:
        value = Path(source).read_text()  # a private file, open until the load has ended
        self.begun.set()
        assert self.gate.wait(10)
        return value

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 10)


@pytest.fixture
def gated() -> Any:
    loader = Gated()
    yield loader
    loader.gate.set()


def text(source: Source) -> str:
    return bytes(source.data).decode()


class Pair:
    """Two registries in one lifespan; the second one's model waits for its gate."""

    def __init__(self, root: Path, gated: Gated) -> None:
        self.closed: list[str] = []

        class First(Registry):
            a: Model[str] = artifact("a.bin", loader=text, close=self.closed.append)

        class Second(Registry):
            b: Model[str] = artifact("b.bin", loader=gated, close=self.closed.append)

        self.first, self.second = First(root=root), Second(root=root)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with self.first.running(), self.second.running():
            yield


def left_behind(models: Registry) -> bool:
    return models.is_running or any(model.slot.manager is not None for model in models)


@pytest.mark.parametrize("by", ["task", "registry", "all registries"])
async def test_a_start_cancelled_at_the_second_registry_closes_the_first(
    locked: Locked, gated: Gated, by: str
) -> None:
    pair = Pair(locked(a="A", b="B"), gated)
    running = pair.lifespan()
    starting = asyncio.create_task(running.__aenter__())
    await gated.has_begun()
    assert pair.first.is_running
    if by == "task":
        starting.cancel()
    else:
        given = [pair.second] if by == "registry" else [pair.first, pair.second]
        assert [models.cancel_start() for models in given][-1]
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await starting
    assert pair.closed == ["A"]
    assert not left_behind(pair.first)
    assert not left_behind(pair.second)
    gated.gate.set()  # and both can start again
    async with pair.lifespan(), pair.second.b.lease() as handle:
        assert handle.value == "B"
    assert pair.closed.count("A") == 2
    assert "B" in pair.closed


async def test_a_start_of_two_registries_that_nobody_cancels_succeeds(
    locked: Locked, gated: Gated
) -> None:
    pair = Pair(locked(a="A", b="B"), gated)
    running = pair.lifespan()
    starting = asyncio.create_task(running.__aenter__())
    await gated.has_begun()
    gated.gate.set()
    await starting
    assert pair.first.is_running
    assert pair.second.is_running
    await running.__aexit__(None, None, None)
    assert pair.closed == ["B", "A"]


def _loading_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.endswith("-lazy")]


def _open_files() -> int:
    return len(os.listdir("/dev/fd"))


class _Lazy:
    """A model that loads at its first use, and requests that wait for it."""

    def __init__(self, root: Path, loader: Gated) -> None:
        class Lazy(Registry):
            lazy: Model[str] = artifact("a.bin", loader=loader, when="first_use")

        self.models = Lazy(root=root)

    async def request(self) -> str:
        async with self.models.lazy.lease() as handle:
            return handle.value


async def test_a_request_that_waits_for_a_first_use_is_refused_at_the_stop(
    locked: Locked, gated: Gated
) -> None:
    lazy = _Lazy(locked(a="A"), gated)
    await asyncio.to_thread(int)  # the pool's first thread is no leak of ours
    files_before, tasks_before = _open_files(), asyncio.all_tasks()
    async with asyncio.timeout(10):
        async with lazy.models.running():
            requests = [asyncio.create_task(lazy.request()) for _ in range(3)]
            await gated.has_begun()
        answers = await asyncio.gather(*requests, return_exceptions=True)
    assert [type(answer) for answer in answers] == [NotReadyError] * 3
    assert all("shutting down" in str(answer) for answer in answers)
    assert not left_behind(lazy.models)
    assert asyncio.all_tasks() - tasks_before == set()
    gated.gate.set()
    async with asyncio.timeout(10):
        while _loading_threads():  # noqa: ASYNC110  # the thread tells nobody when it has ended
            await asyncio.sleep(0.01)
    assert _open_files() <= files_before


async def test_a_request_that_waits_for_a_first_use_gets_it_where_nothing_stops(
    locked: Locked, gated: Gated
) -> None:
    lazy = _Lazy(locked(a="A"), gated)
    await asyncio.to_thread(int)
    files_before, tasks_before = _open_files(), asyncio.all_tasks()
    async with lazy.models.running():
        requests = [asyncio.create_task(lazy.request()) for _ in range(3)]
        await gated.has_begun()
        # The control of what a stop leaves behind: it would be noticed.
        assert left_behind(lazy.models)
        assert _loading_threads()
        assert _open_files() > files_before
        assert len(asyncio.all_tasks() - tasks_before) > len(requests)
        gated.gate.set()
        assert await asyncio.gather(*requests) == ["A", "A", "A"]
