"""Spawned workers, without a supervisor; the rest: tests/integration/test_spawning.py."""

from __future__ import annotations

from loadonce.server.options import ServeOptions
from loadonce.server.workers.spawned import _run
from loadonce.server.workers.spawning import _environment
from loadonce.system.channel import Channel


def test_it_ends_when_nobody_tells_it_what_to_serve() -> None:
    here, there = Channel.pair()
    there.close()
    assert _run(here) == 0
    here.close()


def test_only_the_first_of_them_draws_bars() -> None:
    options = ServeOptions(target="main:app", workers=2)
    assert _environment(options, is_silent=True)["LOADONCE_PROGRESS"] == "never"
    assert "LOADONCE_PROGRESS" not in _environment(options, is_silent=False)
