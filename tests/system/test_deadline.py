"""The last resort fires at the earliest time it was armed for, and only if it was."""

from __future__ import annotations

import os
import threading
import time

import pytest

from loadonce.system.deadline import Deadline


class _Process:
    """Stands for the process: it ends as an event."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.has_ended = threading.Event()

    def end(self, code: int) -> None:
        self.code = code
        self.has_ended.set()


def test_the_earliest_end_counts(capfd: pytest.CaptureFixture[str]) -> None:
    process = _Process()
    began = time.monotonic()
    with Deadline(lambda seconds: f"over after {seconds:g} s", process.end) as deadline:
        deadline.arm(60)
        deadline.arm(0.1)
        deadline.arm(30)
        assert process.has_ended.wait(5)
    assert process.code == 1
    assert time.monotonic() - began < 3
    assert capfd.readouterr().err == "over after 0.1 s\n"


@pytest.mark.parametrize("seconds", [None, 0.2])
def test_leaving_calls_it_off(seconds: float | None) -> None:
    process = _Process()
    with Deadline(lambda _seconds: "never", process.end) as deadline:
        if seconds is not None:
            deadline.arm(seconds)
    time.sleep(0.3)
    assert process.code is None


def test_a_report_that_fails_does_not_save_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = _Process()
    unexpected: list[object] = []
    monkeypatch.setattr(threading, "excepthook", unexpected.append)
    with Deadline(lambda seconds: str(1 / (seconds - seconds)), process.end) as deadline:
        deadline.arm(0.05)
        assert process.has_ended.wait(5)
    assert process.code == 1
    assert len(unexpected) == 1


def test_without_a_test_it_ends_the_process_itself() -> None:
    assert Deadline(lambda _seconds: "")._end is os._exit
