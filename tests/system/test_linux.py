"""What only Linux offers does what it says."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from pathlib import Path

import pytest

from loadonce.system import linux


def test_new_clients_are_ignored_while_those_that_wait_are_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        waiting = socket.create_connection(listener.getsockname())
        assert linux.refuse_new_connections(listener)
        with pytest.raises(TimeoutError):
            socket.create_connection(listener.getsockname(), timeout=0.2)
        waiting.sendall(b"hello")
        accepted, _address = listener.accept()
        assert accepted.recv(5) == b"hello"
        accepted.close()
        waiting.close()


def test_to_close_the_listener_instead_resets_those_that_wait() -> None:
    """The control."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        waiting = socket.create_connection(listener.getsockname())
    with waiting, pytest.raises(ConnectionError):
        waiting.recv(5)


def test_a_unix_socket_is_not_found_any_more(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert linux.refuse_new_connections(listener)
        assert not path.exists()


def test_where_there_are_no_filters_nothing_happens() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.close()
    assert linux.refuse_new_connections(listener) is False


def test_elsewhere_new_clients_cannot_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(sys, "platform", "darwin")
        assert linux.refuse_new_connections(listener) is False
        monkeypatch.undo()
        assert linux.refuse_new_connections(listener)  # the control


def test_a_process_ends_with_its_parent() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        linux.die_with(os.getppid())
        os.write(write, b"x")
        os._exit(0)
    assert os.read(read, 1) == b"x"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    child = os.fork()
    if child == 0:
        linux.die_with(os.getppid() + 1)  # has ended already
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.close(read)
    os.close(write)


def test_who_outlives_its_parent_goes_on_whoever_adopts_it() -> None:
    """Here that is nobody it knows."""
    read, write = os.pipe()
    wait, go_on = os.pipe()
    parent = os.fork()
    if parent == 0:
        own = os.getpid()
        if os.fork() == 0:
            os.write(write, b"a")
            linux.outlive(own)
            os.write(write, b"b")
        else:
            os.read(wait, 1)
        os._exit(0)
    assert os.read(read, 1) == b"a"
    assert select.select([read], [], [], 0.1)[0] == []  # the control: its parent lives
    os.write(go_on, b"x")
    os.waitpid(parent, 0)
    assert os.read(read, 1) == b"b"
    for descriptor in (read, write, wait, go_on):
        os.close(descriptor)


def test_what_the_kernel_refuses_is_an_error() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        linux.prctl(1, 12345)
