"""What is loaded before a fork is adopted afterwards, without a look at the files."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadonce import (
    ConfigurationError,
    Model,
    ModelEvent,
    Registry,
    Source,
    StartupError,
    artifact,
    resource,
)
from loadonce.lifecycle.inheriting import why_not_inherited

Locked = Callable[..., Path]

called: list[str] = []


def text(source: Source) -> str:
    return bytes(source.data).decode()


def warm_up(value: str) -> None:
    called.append(f"warm {value}")


def is_fine(value: str) -> bool:
    called.append(f"check {value}")
    return value != "wrong"


def opened(a: str) -> Iterator[str]:
    yield f"made of {a}"


class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text, warmup=warm_up, golden=is_fine)
    b: Model[str] = artifact("b.bin", loader=text, fork="after")
    c: Model[str] = artifact("c.bin", loader=text, when="first_use")
    optional: Model[str] = artifact("d.bin", loader=text, required=False)
    made: Model[str] = resource(opened, a)


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    called.clear()


def test_a_preloaded_model_is_adopted_without_its_files(locked: Locked) -> None:
    root = locked(a="a", b="b", c="c")
    models = Models(root)
    asyncio.run(models.preload())
    assert called == []  # nothing is called before the fork
    assert not models.is_running
    (root / "a.bin").unlink()
    events: list[ModelEvent] = []
    models.events.subscribe(events.append)
    with models.loaded():
        assert models.a.run(str.upper) == "A"
        assert models.made.run(str.upper) == "MADE OF A"
        assert models.b.run(str.upper) == "B"
        assert models.a.status().version
    assert called == ["warm a", "check a"]
    assert [event.model for event in events if event.what == "adopted"] == ["a"]
    assert {event.model for event in events if event.what == "ready"} == {"b", "made"}


def test_it_is_adopted_once_then_loaded_anew(locked: Locked) -> None:
    """The control: a second run of the registry needs the file."""
    root = locked(a="a", b="b", c="c")
    models = Models(root)
    asyncio.run(models.preload())
    with models.loaded():
        pass
    (root / "a.bin").unlink()
    with pytest.raises(StartupError, match=r"model 'a' \(a.bin\): nothing exists"), models.loaded():
        pass


def test_a_version_that_fails_its_check_after_the_fork_stops_the_start(locked: Locked) -> None:
    models = Models(locked(a="wrong", b="b", c="c"))
    asyncio.run(models.preload())
    with pytest.raises(StartupError, match="golden"), models.loaded():
        pass


def test_a_required_model_that_does_not_load_stops_it_before_the_fork(
    locked: Locked, caplog: pytest.LogCaptureFixture
) -> None:
    root = locked(a="a", b="b", c="c")
    (root / "a.bin").unlink()
    with caplog.at_level(logging.CRITICAL), pytest.raises(StartupError, match="model 'a'"):
        asyncio.run(Models(root).preload())


def test_all_that_is_wrong_is_told_at_once_before_the_fork(
    locked: Locked, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Missing files, libraries and formats alike; and what is optional stops nothing."""

    class Wrong(Registry):
        gone: Model[str] = artifact("gone.bin", loader=text)
        strange: Model[object] = artifact("d.xyz")
        tensors: Model[object] = artifact("n.safetensors")

    class Optional(Registry):
        a: Model[str] = artifact("a.bin", loader=text)
        tensors: Model[object] = artifact("n.safetensors", required=False)

    monkeypatch.setitem(sys.modules, "safetensors", None)
    root = locked(a="a")
    with caplog.at_level(logging.CRITICAL), pytest.raises(StartupError) as caught:
        asyncio.run(Wrong(root).preload())
    told = str(caught.value)
    for words in ("model 'gone' (gone.bin)", "model 'strange' (d.xyz)", "model 'tensors' (n.saf"):
        assert words in told
    assert "pip install 'loadonce[safetensors]'" in told
    models = Optional(root)
    with caplog.at_level(logging.CRITICAL):
        asyncio.run(models.preload())
        with models.loaded():
            assert models.a.run(str.upper) == "A"
            assert models.tensors.status().state == "failed"


def test_what_only_the_lock_tells_of_a_format_holds_for_the_fork_too(tmp_path: Path) -> None:
    from loadonce import lock_directory
    from loadonce.loaders import Loader, table

    class Mixed(Registry):
        lost: Model[str] = artifact("lost.bin")
        kept: Model[str] = artifact("kept.bin")

    def read(source: Source) -> str:
        return bytes(source.data).decode()

    more = (
        Loader(name="threads", read=read, fork="after"),
        Loader(name="plain", read=read),
    )
    for name in ("lost.bin", "kept.bin"):
        (tmp_path / name).write_text(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "BUILT_IN", (*table.BUILT_IN, *more))
        lock_directory(tmp_path, formats={"lost.bin": "threads", "kept.bin": "plain"})
        models = Mixed(tmp_path)
        asyncio.run(models.preload())
        assert why_not_inherited(models.lost.slot) == "threads objects do not survive a fork"
        assert (models.lost.slot.inherited, why_not_inherited(models.kept.slot)) == (None, "")
        assert models.kept.slot.inherited is not None
        with models.loaded():
            assert models.lost.run(str.upper) == "LOST.BIN"


def test_each_model_says_why_every_process_loads_it_itself(locked: Locked) -> None:
    class More(Models):
        network: Model[object] = artifact("n.onnx")
        threaded: Model[object] = artifact("n.onnx", options={"threads": 2})
        graphical: Model[object] = artifact("n.onnx", options={"providers": ["CUDA"]})
        forced: Model[object] = artifact("n.onnx", options={"threads": 2}, fork="inherit")
        trees: Model[object] = artifact("n.ubj", options={"threads": 2})
        tensors: Model[object] = artifact("n.pt", options={"device": "cuda"})
        pair: Model[object] = artifact({"a": "a.json", "b": "b.json"})

    models = More(locked())
    with models["a"].override("other"):
        reasons = {model.name: why_not_inherited(model.slot) for model in models}
    assert reasons == {
        "a": "overridden",
        "b": 'fork="after"',
        "c": 'when="first_use"',
        "optional": "",
        "made": "a resource",
        "network": "",
        "threaded": "onnx objects do not survive a fork",
        "graphical": "onnx objects do not survive a fork",
        "forced": "",
        "trees": "xgboost objects do not survive a fork",
        "tensors": "torch objects do not survive a fork",
        "pair": "",
    }


def test_how_a_model_crosses_a_fork_is_one_of_two_ways() -> None:
    with pytest.raises(ConfigurationError, match="fork="):
        artifact("a.bin", fork="sometimes")  # type: ignore[arg-type]


def test_preloading_leaves_nothing_in_the_directory(locked: Locked, tmp_path: Path) -> None:
    root = locked(a="a", b="b", c="c")
    before = sorted(tmp_path.iterdir())
    asyncio.run(Models(root).preload())
    assert sorted(tmp_path.iterdir()) == before
    shutil.rmtree(root)


def test_what_others_serve_is_loaded_before_the_fork_whatever_is_declared(locked: Locked) -> None:
    models = Models(locked(a="a", b="b", c="c"))
    assert why_not_inherited(models.c.slot) == 'when="first_use"'  # the control
    models.c.slot.is_expected = True
    asyncio.run(models.preload())
    assert not why_not_inherited(models.c.slot)
    with models.loaded():
        assert models.c.status().state == "ready"  # nobody has asked
        assert models.readiness().is_ready


class Late(Registry):
    late: Model[str] = artifact("a.bin", loader=text, when="background")
    rare: Model[str] = artifact("b.bin", loader=text, when="first_use")
    spare: Model[str] = artifact("c.bin", loader=text, when="background", required=False)


@pytest.mark.parametrize("lost", ["late", "rare", "spare"])
def test_what_others_serve_stops_the_start_if_it_is_required_and_fails(
    locked: Locked, lost: str
) -> None:
    models = Late(locked(a="a", b="b", c="c"))
    (models.root / {"late": "a.bin", "rare": "b.bin", "spare": "c.bin"}[lost]).unlink()
    with models.loaded():  # the control: as declared, it stops nothing
        pass
    for model in models:
        model.slot.is_expected = True
    if lost == "spare":
        with models.loaded():
            assert models.readiness().is_degraded
        return
    with pytest.raises(StartupError, match=f"model '{lost}'"), models.loaded():
        pass
