"""A spawned worker whose supervisor is gone; the rest: tests/integration/test_spawning.py."""

from __future__ import annotations

from loadonce.server.workers.spawned import _run
from loadonce.system.channel import Channel


def test_it_ends_when_nobody_tells_it_what_to_serve() -> None:
    here, there = Channel.pair()
    there.close()
    assert _run(here) == 0
    here.close()
