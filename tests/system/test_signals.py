"""SIGTERM and SIGINT ask to stop, a second SIGINT insists; the deadline knows at once."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from loadonce.system.deadline import Deadline
from loadonce.system.signals import Stopping, StopRequestedError


class _Deadline(Deadline):
    """Remembers for when it was armed, and never fires."""

    def __init__(self) -> None:
        super().__init__(lambda _seconds: "")
        self.armed: list[float] = []

    def arm(self, seconds: float) -> None:
        self.armed.append(seconds)


def _send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_before_the_loop_runs_a_signal_interrupts(number: signal.Signals) -> None:
    deadline = _Deadline()
    with Stopping(deadline, patience=20) as stopping:
        with pytest.raises(StopRequestedError):
            _send(number)
        _send(signal.SIGTERM)  # once is enough: nothing is interrupted while it cleans up
        assert stopping.signal_name == "SIGTERM"
    assert deadline.armed == [1.8, 1.8]
    assert signal.getsignal(number) is signal.SIG_IGN  # the end is near and stays clean


def test_without_a_signal_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Stopping(_Deadline(), patience=20):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_terminal_that_closes_stops_it_unless_nohup_says_otherwise(
    handler: signal.Handlers,
) -> None:
    signal.signal(signal.SIGHUP, handler)
    with Stopping(_Deadline(), patience=20) as stopping:
        is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert is_ignored is (handler is signal.SIG_IGN)
        assert stopping.signal_name == ""


def test_while_serving_a_signal_wakes_the_loop_and_grants_patience() -> None:
    deadline = _Deadline()

    async def serve(stopping: Stopping) -> None:
        stopping.attach(asyncio.get_running_loop())
        stopping.is_serving = True
        asyncio.get_running_loop().call_later(0.01, _send, signal.SIGINT)
        await asyncio.wait_for(stopping.requested.wait(), 5)
        assert not stopping.forced.is_set()
        _send(signal.SIGTERM)
        await asyncio.sleep(0.01)
        assert not stopping.forced.is_set()
        _send(signal.SIGINT)
        await asyncio.wait_for(stopping.forced.wait(), 5)

    with Stopping(deadline, patience=20) as stopping:
        asyncio.run(serve(stopping))
        stopping.detach()
    assert deadline.armed == [21.8, 21.8, 1.8]
