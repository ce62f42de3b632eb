"""What a service tells systemd, on a socket as systemd opens one."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadonce.system.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def listening(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[socket.socket, str]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        name = f"loadonce-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "n")
        end.bind(f"\0{name}" if request.param == "abstract" else name)
        end.settimeout(5)
        yield end, f"@{name}" if request.param == "abstract" else name


def test_what_is_said_arrives_as_one_datagram(listening: tuple[socket.socket, str]) -> None:
    end, address = listening
    Notifier(address).send(READY=1, STATUS="serving")
    assert end.recv(1000) == b"READY=1\nSTATUS=serving"


def test_one_who_does_not_read_holds_nothing_up(listening: tuple[socket.socket, str]) -> None:
    _end, address = listening
    for number in range(1000):
        Notifier(address).send(NUMBER=number)


def test_nobody_who_listens_is_no_reason_to_fail(tmp_path: Path) -> None:
    Notifier(str(tmp_path / "gone")).send(READY=1)
    Notifier("").send(READY=1)


def test_the_variables_are_for_this_process_only() -> None:
    environment = {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "500000", "PATH": "/bin"}
    assert Notifier.taken(environment)._watchdog == 0.5
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("pid", "microseconds", "expected"),
    [("mine", "4000000", 4.0), ("1", "4000000", 0.0), ("", "soon", 0.0), ("", "", 0.0)],
)
def test_a_watchdog_may_be_meant_for_another(pid: str, microseconds: str, expected: float) -> None:
    named = str(os.getpid()) if pid == "mine" else pid
    environment = {"WATCHDOG_PID": named, "WATCHDOG_USEC": microseconds}
    assert Notifier.taken(environment)._watchdog == expected


def test_signs_of_life_come_twice_as_often_as_wanted(listening: tuple[socket.socket, str]) -> None:
    end, address = listening
    asked: list[tuple[float, Callable[[], None]]] = []
    Notifier(address, 4.0).keep_alive(lambda seconds, act: asked.append((seconds, act)))
    assert end.recv(1000) == b"WATCHDOG=1"
    [(seconds, again)] = asked
    assert seconds == 2.0
    again()
    assert end.recv(1000) == b"WATCHDOG=1"
    assert len(asked) == 2


def test_without_a_watchdog_there_are_none() -> None:
    Notifier("/n").keep_alive(lambda _seconds, _act: pytest.fail("asked"))
