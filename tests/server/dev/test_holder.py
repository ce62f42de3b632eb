"""What a holder decides without a process to fork; the rest: tests/integration."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from loadonce import Model, Registry, artifact, lock_directory
from loadonce.server.dev.holder import Holder
from loadonce.server.options import ServeOptions
from loadonce.system.channel import Channel


@pytest.fixture
def asked() -> Iterator[tuple[Holder, Channel]]:
    """A holder, and the development server's end of its channel."""
    ours, theirs = Channel.pair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        holder = Holder(ServeOptions(target="main:app"), listener, theirs, os.getpid())
        with holder._watch.signals():
            yield holder, ours
    ours.close()
    theirs.close()


def test_a_stop_while_it_loads_comes_before_the_next_start(asked: tuple[Holder, Channel]) -> None:
    holder, server = asked
    holder._hear({"what": "stop"})
    holder._fork()  # which the end of the load has put off
    assert holder._child == 0
    answer = server.receive()
    assert answer is not None
    assert answer[0] == {"what": "ended"}


def test_the_end_of_a_process_that_is_not_the_apps_is_no_news(
    asked: tuple[Holder, Channel],
) -> None:
    holder, server = asked
    holder._reap(4_000_000, 0)
    server.set_blocking(False)
    with pytest.raises(BlockingIOError):
        server.receive()


class Odd(Registry):
    odd: Model[object] = artifact("one.npy", loader="nothing")


def test_what_nobody_can_load_is_left_to_the_apps_own_load(
    asked: tuple[Holder, Channel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "one.npy", np.arange(3))
    lock_directory(tmp_path)
    monkeypatch.setattr("loadonce.server.dev.holder.known_registries", lambda: [Odd(root=tmp_path)])
    ours, theirs = Channel.pair()
    asked[0]._adopt(theirs)
    received = ours.receive()
    assert received is not None
    assert [*received[0]] == ["locks"]
    ours.set_blocking(False)
    with pytest.raises(BlockingIOError):  # no wish
        ours.receive()
    ours.close()
    theirs.close()
