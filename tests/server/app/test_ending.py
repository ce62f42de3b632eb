"""The end of a process, whatever is in the way of it."""

from __future__ import annotations

import atexit
import os
import threading

import pytest

from loadonce.server.app.ending import end_process


def test_a_process_ends_where_the_system_has_no_thread_left_for_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that was forked would go on as its parent does, and take down what is that one's."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            atexit._clear()
            atexit.register(os.write, write, b"registered")
            end_process(7)
        finally:
            os._exit(1)
    os.close(write)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert os.read(read, 100) == b"registered"
    os.close(read)
