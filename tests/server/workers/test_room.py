"""Who may load beside what serves; with a real limit: tests/integration/test_reloads.py."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from loadonce.server.app.logs import StartLines
from loadonce.server.options import ServeOptions
from loadonce.server.workers import room as room_module
from loadonce.server.workers.child_processes import ZygoteProcess
from loadonce.server.workers.room import Room, _held
from loadonce.server.workers.supervisor import Supervisor
from loadonce.system.channel import Channel
from loadonce.system.systemd import Notifier


@pytest.fixture
def pair() -> Iterator[tuple[ZygoteProcess, Channel]]:
    """One that asks, and its end of the channel."""
    ours, theirs = Channel.pair()
    theirs.set_blocking(False)
    yield ZygoteProcess(0, ours, 0.0), theirs
    ours.close()
    theirs.close()


def asked(room: Room, zygote: ZygoteProcess, needed: int, *, serves: bool = True) -> None:
    """This process is what serves, and holds what it holds."""
    others = [ZygoteProcess(os.getpid(), zygote.channel, 0.0), zygote]
    message = {"what": "room", "needed": needed, "available": 1000}
    room.ask(zygote, message, others, [], serves=serves)


def test_what_fits_in_the_place_of_what_serves_waits_for_its_end(
    pair: tuple[ZygoteProcess, Channel], caplog: pytest.LogCaptureFixture
) -> None:
    zygote, theirs = pair
    room = Room("availability")
    with caplog.at_level(logging.WARNING, "loadonce"):
        asked(room, zygote, 2000)
    assert room.is_wanted
    assert "not enough memory for two generations" in caplog.text
    with pytest.raises(BlockingIOError):
        theirs.receive()
    room.give()
    assert theirs.receive() == ({"what": "room"}, [])


def test_what_fits_nowhere_ends_nothing(
    pair: tuple[ZygoteProcess, Channel], caplog: pytest.LogCaptureFixture
) -> None:
    zygote, theirs = pair
    room = Room("availability")
    with caplog.at_level(logging.ERROR, "loadonce"):
        asked(room, zygote, 2**60)
    assert not room.is_wanted
    assert "not enough memory, even for one generation" in caplog.text
    assert theirs.receive() == ({"what": "room"}, [])  # it refuses by itself


def test_where_nothing_serves_nothing_needs_to_end(pair: tuple[ZygoteProcess, Channel]) -> None:
    zygote, theirs = pair
    room = Room("memory")
    asked(room, zygote, 2000, serves=False)
    assert not room.is_wanted
    assert theirs.receive() == ({"what": "room"}, [])


def test_models_in_processes_of_their_own_count() -> None:
    """This process is a keeper, its child an owner."""
    told, tells = os.pipe()
    child = os.fork()
    if child == 0:
        kept = b"x" * 200 * 2**20
        os.write(tells, b"x")
        signal.pause()
        os._exit(len(kept))
    os.read(told, 1)
    one, other = Channel.pair()
    zygote = ZygoteProcess(0, one, 0.0, is_alive=False)
    without = _held([zygote], [])
    zygote.keeper = os.getpid()
    assert without == 0
    both = _held([zygote], [])
    assert both > 200 * 2**20
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert 0 < _held([zygote], []) < both  # the control: it alone
    for end in (told, tells):
        os.close(end)
    one.close()
    other.close()


@pytest.mark.parametrize(("available", "is_kept"), [(0, False), (2**60, True), (None, True)])
def test_a_kept_generation_is_given_up_where_memory_is_scarce(
    monkeypatch: pytest.MonkeyPatch, available: int | None, is_kept: bool
) -> None:
    monkeypatch.setattr(room_module, "available_bytes", lambda: available)
    lines = StartLines(logging.NullHandler(), has_bars=False)
    options = ServeOptions(target="main:app", workers=2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Supervisor(options, lines, listener, time.monotonic(), Notifier(""))
        generations = made._generations
        monkeypatch.setattr(generations, "start", lambda: None)
        pairs = [Channel.pair() for _ in range(2)]
        with made._watch.signals():
            generations.current = ZygoteProcess(os.getpid(), pairs[0][0], 0.0)
            generations.former = ZygoteProcess(0, pairs[1][0], 0.0, is_alive=False)
            generations.reload(lambda _message: None)
        assert (generations.former is not None) == is_kept
        made._board.info.write(b"")  # it is no server that others should find in this process
        for each in pairs:
            each[0].close()
            each[1].close()
