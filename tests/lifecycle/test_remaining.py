"""A model whose loader leaves a thread running is loaded in each worker, and only that one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadonce import Model, Registry, Source, artifact
from loadonce.lifecycle import remaining
from loadonce.lifecycle.inheriting import why_not_inherited

Locked = Callable[..., Path]

over: threading.Event


def text(source: Source) -> str:
    return bytes(source.data).decode()


def with_thread(source: Source) -> str:
    threading.Thread(target=over.wait, name="prefetcher", daemon=True).start()
    return text(source)


async def with_the_loops_thread(source: Source) -> str:
    await asyncio.to_thread(text, source)
    return text(source)


class Models(Registry):
    plain: Model[str] = artifact("a.bin", loader=text)
    threaded: Model[str] = artifact("a.bin", loader=with_thread)
    asynchronous: Model[str] = artifact("a.bin", loader=with_the_loops_thread)


class Excused(Registry):
    threaded: Model[str] = artifact("a.bin", loader=with_thread, fork="inherit")
    failing: Model[str] = artifact("b.bin", loader=text, required=False)


@pytest.fixture(autouse=True)
def _over(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    global over
    over = threading.Event()
    monkeypatch.setattr(remaining, "_LAST_SECONDS", 0.3)
    yield
    over.set()


def test_the_thread_is_named_and_the_others_are_shared(locked: Locked) -> None:
    models = Models(locked(a="a"))
    asyncio.run(models.preload())
    assert "prefetcher" in why_not_inherited(models.threaded.slot)
    assert models.threaded.slot.inherited is None
    assert models.plain.slot.inherited is not None or models.plain.slot.unshared
    with models.loaded():
        assert models.threaded.run(str) == "a"  # loaded here


def test_who_says_that_it_survives_is_believed(locked: Locked) -> None:
    models = Excused(locked(a="a"))
    asyncio.run(models.preload())
    assert models.threaded.slot.inherited is not None
