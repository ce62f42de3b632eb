"""The files of Unix sockets that nobody listens on any more."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from loadonce.system.sockets import remove_stale

KINDS = [socket.SOCK_STREAM, socket.SOCK_SEQPACKET]


@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_listens_on_is_removed_and_nothing_else(
    tmp_path: Path, kind: socket.SocketKind
) -> None:
    path = tmp_path / "one.sock"
    remove_stale(path, kind)  # there is none
    with socket.socket(socket.AF_UNIX, kind) as listener:
        listener.bind(os.fspath(path))
        listener.listen(0)
        remove_stale(path, kind)
        remove_stale(path, kind)  # whose queue is full by now
        assert path.exists()
    remove_stale(path, kind)
    assert not path.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_socket_is_left_alone(tmp_path: Path, kind: socket.SocketKind) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="it is no socket"):
        remove_stale(path, kind)
    assert path.read_text() == "mine"
