"""A version in quarantine serves nobody, and keeps nothing else from serving."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadonce import Model, Registry, Source, artifact, lock_directory, resource
from loadonce.errors import QuarantinedError
from loadonce.lifecycle.quarantine import quarantine

Locked = Callable[..., Path]

closed: list[str] = []
may_load = threading.Event()


def text(source: Source) -> str:
    return bytes(source.data).decode()


def slow_text(source: Source) -> str:
    assert may_load.wait(10)
    return text(source)


def opened(a: str) -> Iterator[str]:
    yield f"made of {a}"


class Models(Registry):
    a: Model[str] = artifact("a.bin", loader=text, close=closed.append)
    b: Model[str] = artifact("b.bin", loader=slow_text)
    made: Model[str] = resource(opened, a)


@pytest.fixture
def models(locked: Locked) -> Models:
    closed.clear()
    may_load.set()
    return Models(locked(a="a", b="b"))


@pytest.fixture
def bad(models: Models) -> str:
    """The digest of the version of `a`."""
    with models.loaded():
        found = models.a.status().sha256
    closed.clear()
    return found


def states(models: Models) -> dict[str, str]:
    return models.readiness().states


@pytest.mark.parametrize("is_inherited", [True, False])
def test_a_required_model_in_quarantine_does_not_stop_the_start(
    models: Models, bad: str, is_inherited: bool
) -> None:
    if is_inherited:
        asyncio.run(models.preload())
    quarantine([models], "a", bad)
    quarantine([models], "unknown", bad)
    with models.loaded():
        assert states(models) == {"a": "failed", "b": "ready", "made": "failed"}
        assert models.readiness().is_ready
        assert models.readiness().is_degraded
        assert models.b.run(str.upper) == "B"
        for model in (models.a, models.made):
            with pytest.raises(QuarantinedError, match="is in quarantine"):
                model.run(str.upper)
    assert closed == []


def test_a_slow_load_beside_it_is_waited_for(models: Models, bad: str) -> None:
    quarantine([models], "a", bad)
    may_load.clear()
    timer = threading.Timer(0.6, may_load.set)  # longer than others get once a start has failed
    timer.start()
    with models.loaded():
        assert models.b.run(str.upper) == "B"
    timer.join()


@pytest.mark.anyio
async def test_a_model_that_serves_is_withdrawn_until_another_version_comes(
    models: Models,
) -> None:
    async with models.loaded():
        bad = models.a.status().sha256
        quarantine([models], "b", bad)  # of another model: the control
        assert states(models) == {"a": "ready", "b": "ready", "made": "ready"}
        quarantine([models], "a", bad)
        assert states(models) == {"a": "failed", "b": "ready", "made": "ready"}
        assert models.readiness().is_degraded
        with pytest.raises(QuarantinedError):
            async with models.a.lease():
                pass
        with pytest.raises(QuarantinedError):
            await models.a.reload()
        async with models.made.lease() as made:
            assert made.value == "made of a"
        (models.root / "a.bin").write_text("mended")
        lock_directory(models.root)
        await models.a.reload()
        assert models.readiness().is_degraded is False
        async with models.a.lease() as handle:
            assert handle.value == "mended"
    assert closed == ["mended"]


def test_one_that_is_loading_meanwhile_does_not_serve_either(models: Models, bad: str) -> None:
    quarantined = threading.Event()

    def tell(event: object) -> None:
        if getattr(event, "what", "") == "ready" and getattr(event, "model", "") == "a":
            models.a.slot.quarantined.add(bad)
            quarantined.set()

    models.events.subscribe(tell)
    with models.loaded():
        assert quarantined.is_set()
        with pytest.raises(QuarantinedError):
            models.a.run(str.upper)
