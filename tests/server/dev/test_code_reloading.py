"""The app's process behind a holder that is silent; the rest: tests/integration."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadonce.server.dev.code_reloading import HeldProcess
from loadonce.server.options import ServeOptions
from loadonce.system.channel import Channel


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[HeldProcess, Channel]]:
    """One whose holder does nothing at all, and the holder's end of the channel."""
    monkeypatch.setattr("loadonce.server.dev.code_reloading._PATIENCE", 0.2)
    ours, theirs = Channel.pair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = HeldProcess(ServeOptions(target="main:app"), listener)
        made._channel = ours
        made._holder = os.fork()
        if made._holder == 0:
            signal.pause()
        yield made, theirs
    theirs.close()


def test_a_holder_that_does_not_answer_is_killed(held: tuple[HeldProcess, Channel]) -> None:
    process, _theirs = held
    process.terminate()
    process.join()
    assert process._channel is None
    process.terminate()  # there is nobody any more
    process.join()


def test_a_load_is_waited_for_if_it_will_be_needed(held: tuple[HeldProcess, Channel]) -> None:
    process, theirs = held
    theirs.send({"what": "loading"})
    began = time.monotonic()
    process.join(0.5)
    assert time.monotonic() - began >= 0.5
    assert process._channel is None


def test_a_load_is_given_up_if_it_will_not(held: tuple[HeldProcess, Channel]) -> None:
    process, theirs = held
    theirs.send({"what": "loading"})
    process.join()
    assert process._channel is None


def test_a_process_that_has_ended_is_not_waited_for(held: tuple[HeldProcess, Channel]) -> None:
    """The control."""
    process, theirs = held
    for what in ("loading", "loaded", "ended"):
        theirs.send({"what": what})
    process.join(5.0)
    assert process._channel is not None
    process._give_up(process._channel)


def test_lock_files_that_were_altered_are_told_once(held: tuple[HeldProcess, Channel]) -> None:
    process, theirs = held
    assert process.altered_locks() == []
    theirs.send({"what": "loading"})
    theirs.send({"what": "altered", "paths": ["models.lock"]})
    assert process.altered_locks() == [Path("models.lock")]
    assert process.altered_locks() == []
    theirs.close()
    os.kill(process._holder, signal.SIGKILL)
    os.waitid(os.P_PID, process._holder, os.WEXITED | os.WNOWAIT)
    assert process.altered_locks() == []  # the next start finds that the holder has ended
    process.join()
