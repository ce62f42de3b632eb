"""The keeper: an owner for whoever knocks, and another when it dies."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadonce.owner import keeper as keeper_module
from loadonce.owner.door import Door
from loadonce.owner.heartbeat import Heartbeat
from loadonce.owner.keeper import Keeper, OwnerProcess, _become, _Keeping, fork_keeper
from loadonce.system import crashes as crashes_module
from loadonce.system.crashes import Culprits

pytestmark = pytest.mark.timeout(60)

Run = Callable[[Door, Heartbeat], int]


@contextmanager
def kept(
    *runs: Run, guardian: int | None = None, culprits: Culprits | None = None
) -> Iterator[tuple[Keeper, list[Door]]]:
    """A keeper of owners that do this."""
    known = culprits or Culprits()
    owners = [
        OwnerProcess(f"m{number}", *Door.pair(), run, known) for number, run in enumerate(runs)
    ]
    keeper = fork_keeper(owners, guardian=guardian, prepare=lambda: None)
    try:
        yield keeper, [owner.outside for owner in owners]
    finally:
        for owner in owners:
            owner.outside.close()
        keeper.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "_LAST_SECONDS", 0.1)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def noting(path: Path, then: Run) -> Run:
    def run(door: Door, heartbeat: Heartbeat) -> int:
        with path.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return then(door, heartbeat)

    return run


def nobody_is_behind(door: Door) -> bool:
    try:
        door.knock().socket.close()
    except OSError:
        return True
    return False


def serves(door: Door, heartbeat: Heartbeat) -> int:
    while True:
        heartbeat.beat()
        time.sleep(0.05)


def dies(door: Door, heartbeat: Heartbeat) -> int:
    heartbeat.beat()
    return 5


def fails(door: Door, heartbeat: Heartbeat) -> int:
    raise ValueError("a bug")


def test_an_owner_starts_when_somebody_knocks_and_only_there(
    stack: ExitStack, tmp_path: Path
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    with kept(noting(other, serves), noting(one, serves)) as (_keeper, doors):
        stack.enter_context(doors[1].knock().socket)
        until(lambda: len(lines(one)) == 1)
        (pid,) = lines(one)
        os.kill(int(pid), signal.SIGKILL)
        until(lambda: len(lines(one)) == 2)  # what was asked for waits for the next one
        assert lines(other) == []


def test_an_owner_that_fails_is_one_that_died_while_it_loaded(
    stack: ExitStack, tmp_path: Path
) -> None:
    with kept(noting(tmp_path / "a", fails)) as (_keeper, doors):
        ends = doors[0].knock()
        stack.enter_context(ends.socket)
        ends.socket.setblocking(True)
        told = b""
        while part := ends.socket.recv(4096):
            told += part
        assert b"its process ended while it loaded: exit code 1" in told
    assert len(lines(tmp_path / "a")) == 1


def test_no_owner_starts_where_nobody_can_knock_any_more(stack: ExitStack, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    with kept(noting(one, serves), noting(other, serves)) as (_keeper, doors):
        stack.enter_context(doors[0].knock().socket)
        until(lambda: len(lines(one)) == 1)
        (pid,) = lines(one)
        for door in doors:
            door.close()
        os.kill(int(pid), signal.SIGKILL)
        until(lambda: not Path(f"/proc/{pid}").exists())
        time.sleep(0.2)  # the keeper's turn: it takes two
    assert (len(lines(one)), lines(other)) == (1, [])


def test_one_that_dies_again_and_again_is_started_with_pauses(
    stack: ExitStack, tmp_path: Path
) -> None:
    with kept(noting(tmp_path / "a", dies)) as (_keeper, doors):
        stack.enter_context(doors[0].knock().socket)
        began = time.monotonic()
        until(lambda: len(lines(tmp_path / "a")) == 3)
        assert time.monotonic() - began > 0.4


def dies_with(digest: str, number: signal.Signals) -> Run:
    def run(door: Door, heartbeat: Heartbeat) -> int:
        heartbeat.digest = digest
        heartbeat.beat()
        os.kill(os.getpid(), number)
        return 0

    return run


@pytest.mark.parametrize(
    ("digest", "number", "is_blamed"),
    [
        ("abc", signal.SIGUSR1, True),
        ("abc", signal.SIGKILL, False),  # somebody killed it: the controls
        ("", signal.SIGUSR1, False),  # it had nothing yet
    ],
)
def test_what_an_owner_had_that_died_five_times_may_not_serve(
    stack: ExitStack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    digest: str,
    number: signal.Signals,
    is_blamed: bool,
) -> None:
    monkeypatch.setattr(crashes_module, "_FIRST_DELAY", 0.01)
    culprits = Culprits()

    def run(door: Door, heartbeat: Heartbeat) -> int:
        with (tmp_path / "a").open("a") as file:
            file.write(",".join(culprits.known) + "\n")
        return dies_with(digest, number)(door, heartbeat)

    with kept(run, culprits=culprits) as (_keeper, doors):
        stack.enter_context(doors[0].knock().socket)
        until(lambda: len(lines(tmp_path / "a")) >= 6)
    assert lines(tmp_path / "a")[:6] == [""] * 5 + [digest if is_blamed else ""]


def test_an_owner_that_does_not_end_is_killed(stack: ExitStack, tmp_path: Path) -> None:
    with kept(noting(tmp_path / "a", serves), serves) as (_keeper, doors):
        stack.enter_context(doors[0].knock().socket)
        until(lambda: len(lines(tmp_path / "a")) == 1)
    (pid,) = lines(tmp_path / "a")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_keeper_may_belong_to_another_process_than_the_one_that_forked_it() -> None:
    with kept(serves, guardian=1) as (keeper, doors):  # it is no child of that: it ends at once
        assert keeper.wait is None
        assert keeper.pid != os.getpid()
        until(lambda: nobody_is_behind(doors[0]))


def test_a_keeper_that_stands_still_is_killed_by_who_waits(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "_SILENCE", 1.5)
    with kept(noting(tmp_path / "a", serves)) as (keeper, doors):
        stack.enter_context(doors[0].knock().socket)
        until(lambda: len(lines(tmp_path / "a")) == 1)
        keeper.end_if_stuck()
        assert keeper.is_alive  # the control
        os.kill(keeper.pid, signal.SIGSTOP)
        until(lambda: keeper.heartbeat.silence > 1.5)
        keeper.end_if_stuck()
        until(lambda: not keeper.is_alive)
        keeper.end_if_stuck()  # once is enough


def test_somebody_else_may_have_waited_for_it() -> None:
    with kept(serves) as (keeper, doors):
        doors[0].close()
        keeper.lifeline.close()
        os.waitpid(keeper.pid, 0)


def test_what_listens_is_closed_in_it(stack: ExitStack, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with kept(noting(tmp_path / "a", serves)) as (_keeper, doors):
            stack.enter_context(doors[0].knock().socket)
            until(lambda: len(lines(tmp_path / "a")) == 1)
            listener.close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=5)


class SilentHeart(Heartbeat):
    @property
    def silence(self) -> float:
        return 200.0


@pytest.mark.parametrize("pause", [0.0, 100.0])
def test_an_owner_that_was_stopped_together_with_its_keeper_is_not_killed_for_it(
    monkeypatch: pytest.MonkeyPatch, pause: float
) -> None:
    """As where a container is paused. Without a pause its silence is its own."""
    lifeline, theirs = socket.socketpair()
    outside, inside = Door.pair()
    owner = OwnerProcess("m", outside, inside, serves, heartbeat=SilentHeart())
    keeping = _Keeping([owner], theirs, lambda: None, Heartbeat())
    clock = itertools.chain([0.0, pause], itertools.repeat(pause))
    looks = SimpleNamespace(monotonic=lambda: time.monotonic() + next(clock))
    with lifeline, theirs, outside.end, inside.end:
        keeping._start(owner)
        pid = owner.pid
        monkeypatch.setattr(keeper_module, "time", looks)
        monkeypatch.setattr(keeper_module, "_LOOK", 0.0)
        assert not keeping._turn()
        assert (owner.pid == pid) is bool(pause)
        if pause:
            os.kill(pid, signal.SIGKILL)
            keeping._reap(owner)


def test_an_owner_that_cannot_be_forked_is_tried_again_with_pauses(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper lives on, and with it the other owners."""

    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    lifeline, theirs = socket.socketpair()
    outside, inside = Door.pair()
    owner = OwnerProcess("m", outside, inside, serves)
    keeping = _Keeping([owner], theirs, lambda: None, Heartbeat())
    with lifeline, theirs, outside.end, inside.end:
        stack.callback(outside.knock().socket.close)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fork", refuse)
            for _ in range(2):
                assert not keeping._turn()
        assert (owner.pid, owner.not_before > owner.began) == (0, True)
        until(lambda: not keeping._turn() and bool(owner.pid))  # the control: once it can be
        os.kill(owner.pid, signal.SIGKILL)
        keeping._reap(owner)


def test_one_ends_where_its_logs_have_no_room_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would go on as its parent does."""

    def flush() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    handler = logging.StreamHandler()
    monkeypatch.setattr(handler, "flush", flush)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    pid = os.fork()
    if pid == 0:
        _become(lambda: 5)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
