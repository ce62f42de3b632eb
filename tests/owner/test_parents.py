"""Who dies with whom."""

from __future__ import annotations

import os
import signal

import pytest

from loadonce.owner import parents


def test_a_process_ends_with_its_parent() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        parents.die_with(os.getppid())
        os.write(write, b"x")
        os._exit(0)
    assert os.read(read, 1) == b"x"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    child = os.fork()
    if child == 0:
        parents.die_with(os.getppid() + 1)  # has ended already
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.close(read)
    os.close(write)


def test_what_the_kernel_refuses_is_an_error() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        parents.prctl(1, 12345)
