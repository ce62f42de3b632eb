"""Connections that are lost; with real clients in `integration/test_departing.py`."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from loadonce import Model, Registry, artifact
from loadonce.lifecycle.handle import drop_calls
from loadonce.server.app.departing import departing


class Plain:
    """What of uvicorn's protocols matters here."""

    def __init__(self, cycle: Any) -> None:
        self.cycle = cycle
        self.is_lost = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True


@pytest.mark.parametrize(
    "cycle",
    [
        None,
        SimpleNamespace(disconnected=False, scope={}),
        SimpleNamespace(disconnected=True, scope={}),  # lost before its task began
    ],
)
def test_a_connection_without_calls_is_lost_like_any_other(cycle: Any) -> None:
    protocol = departing(Plain)(cycle)
    protocol.connection_lost(None)
    assert protocol.is_lost


class Words(Registry):
    word: Model[str] = artifact("word.json")


@pytest.mark.anyio
async def test_what_stands_in_for_a_model_has_no_calls_that_wait() -> None:
    words, task = Words(root="."), asyncio.current_task()
    assert task is not None
    with words.word.override("stub"):
        async with words.word.lease() as handle:
            drop_calls([handle], task)
            assert handle.value == "stub"
