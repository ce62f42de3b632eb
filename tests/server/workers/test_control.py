"""Who may order a server about, and by what; whole servers: tests/integration/test_reloads.py."""

from __future__ import annotations

import logging
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadonce.errors import ConfigurationError
from loadonce.server.workers import control, ordering
from loadonce.server.workers.control import Control, runtime_directory
from loadonce.server.workers.ordering import ordered
from loadonce.system.channel import Channel, Message
from loadonce.system.watching import Watch


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short, for a socket's path may have 107 characters only."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name, "here")


@pytest.fixture
def watch() -> Iterator[Watch]:
    made = Watch(lambda _number: None, lambda _pid, _status: None)
    with made.signals():
        yield made


def answer(message: Message, tell: Callable[[Message], object]) -> None:
    tell({"what": "failed", "reason": f"no {message['what']}"})


@contextmanager
def client(path: Path) -> Iterator[Channel]:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(5)
    connection.connect(os.fspath(path))
    channel = Channel(connection)
    yield channel
    channel.close()


def test_it_answers_in_a_directory_of_its_users_alone(watch: Watch, directory: Path) -> None:
    made = Control(watch, answer, directory)
    with made.open():
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        with ordered(made.path, "reload") as answers:
            watch.turn()  # accepts
            watch.turn()
            assert [*answers] == [{"what": "failed", "reason": "no reload"}]
        watch.turn()  # sees it leave
    assert not made.path.exists()


def test_who_speaks_in_tongues_is_hung_up_on(watch: Watch, directory: Path) -> None:
    made = Control(watch, answer, directory)
    with made.open(), client(made.path) as channel:
        watch.turn()
        os.write(channel.fileno(), b"GET / HTTP/1.1")
        watch.turn()
        assert channel.receive() is None


def test_other_users_are_not_heard(
    watch: Watch, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Control(watch, answer, directory)
    monkeypatch.setattr(control, "user_of", lambda _connection: os.getuid() + 1)
    with made.open(), client(made.path) as channel:
        watch.turn()
        assert channel.receive() is None


def test_a_server_of_another_user_is_told_nothing(
    watch: Watch, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Control(watch, answer, directory)
    monkeypatch.setattr(ordering, "user_of", lambda _connection: os.getuid() + 1)
    with made.open(), pytest.raises(ConfigurationError, match="another user's"):  # noqa: SIM117
        with ordered(made.path, "reload"):
            pass


def test_only_so_many_are_heard_at_once_and_others_wait_for_one_to_leave(
    watch: Watch, directory: Path
) -> None:
    made = Control(watch, answer, directory)
    with made.open():
        clients = [client(made.path) for _ in range(17)]
        channels = []
        for each in clients:
            channels.append(each.__enter__())
            watch.after(0.0, lambda: None)  # does not wait for what it does not look at
            watch.turn()
        assert len(made._clients) == 16
        channels[16].send({"what": "reload"})
        channels[0].close()
        for _step in ("one leaves", "another comes", "and asks"):
            watch.turn()
        received = channels[16].receive()
        assert received is not None
        assert received[0]["reason"] == "no reload"
        assert len(made._clients) == 16
        for channel in channels:
            channel.close()


def test_a_directory_of_others_is_not_used(
    watch: Watch, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    made = Control(watch, answer, directory)
    caplog.set_level(logging.WARNING, "loadonce")
    with made.open():
        assert not made.path.exists()
    assert "no control socket, SIGHUP still reloads" in caplog.text
    made.close()


def test_a_path_that_is_too_long_is_told(
    watch: Watch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "loadonce")
    with Control(watch, answer, tmp_path / ("x" * 120)).open():
        pass
    assert "AF_UNIX path too long" in caplog.text


def test_what_a_killed_server_left_is_replaced(watch: Watch, directory: Path) -> None:
    directory.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
        stale.bind(os.fspath(directory / f"{os.getpid()}.sock"))
    made = Control(watch, answer, directory)
    with made.open(), client(made.path):
        pass


def test_what_other_killed_servers_left_is_removed(watch: Watch, directory: Path) -> None:
    directory.mkdir(mode=0o700)
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    names = [
        f"{gone}.sock",
        "1.sock",
        "own.sock",
    ]  # of the control: a process that lives, no server's
    for name in names:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
            stale.bind(os.fspath(directory / name))
    with Control(watch, answer, directory).open():
        assert sorted(path.name for path in directory.iterdir()) == sorted(
            [f"{os.getpid()}.sock", *names[1:]]
        )


def test_one_that_answers_is_left_alone(
    watch: Watch, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "loadonce")
    with Control(watch, answer, directory).open(), Control(watch, answer, directory).open():
        pass
    assert "Address already in use" in caplog.text


def test_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert runtime_directory() == tmp_path / f"loadonce-{os.getuid()}"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    assert runtime_directory() == tmp_path / f"loadonce-{os.getuid()}"
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}:/run/other")
    assert runtime_directory() == tmp_path / "loadonce"


def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no server answers on"):  # noqa: SIM117
        with ordered(tmp_path / "none.sock", "reload"):
            pass
