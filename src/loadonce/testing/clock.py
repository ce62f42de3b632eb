"""An event loop whose clock jumps instead of waiting."""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine, Mapping
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_REAL_WAIT = 0.002  # seconds for threads to get going, or on, before the clock may jump


class FakeClock:
    """Makes event loops on which hours pass at once.

    When nothing is left to do but wait for a timer, the clock jumps to it: `asyncio.sleep`,
    `asyncio.timeout`, `call_later`, and with them loadonce's back-off, load, call and drain
    timeouts. While a thread started under such a loop computes or sleeps, time stands still, and
    the loop waits for it as long as it really takes; a thread that waits (for an event, a lock of
    `threading`, a queue) does not keep time from passing.

    `time.monotonic()` and `time.sleep()` stay real. Not for loops with real network connections:
    a peer in another process looks as if nothing were left to do.

    Example::

        clock = FakeClock()
        clock.run(main())                               # like asyncio.run
        TestClient(app, backend_options={"loop_factory": clock.new_event_loop})

        @pytest.fixture
        def anyio_backend(loadonce_clock):              # every async test of the module
            return "asyncio", {"loop_factory": loadonce_clock.new_event_loop}
    """

    def __init__(self) -> None:
        self._now = 0.0

    def __repr__(self) -> str:
        return f"<FakeClock {self._now:g} s>"

    def time(self) -> float:
        """Seconds that have passed on this clock."""
        return self._now

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """An event loop on this clock; close it as any other."""
        return _FakeLoop(self)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` as `asyncio.run` does, on a loop of this clock."""
        with asyncio.Runner(loop_factory=self.new_event_loop) as runner:
            return runner.run(coroutine)

    def jump(self, seconds: float) -> None:
        """Let this much time pass at once; the loop does so by itself."""
        self._now += seconds


class _FakeLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: FakeClock) -> None:
        super().__init__(_JumpingSelector(clock))
        self._clock = clock

    def time(self) -> float:
        return self._clock.time()

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for its threads in real time: the 300 s that Python 3.12 gives them would be over at
        once."""
        await super().shutdown_default_executor()


class _JumpingSelector(selectors.BaseSelector):
    """Asks the real selector what is ready; lets the clock jump where the loop would wait."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._real = selectors.DefaultSelector()
        self._others = weakref.WeakSet(threading.enumerate())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return self._real.select(timeout)
        was_idle = False
        while True:
            if ready := self._real.select(_REAL_WAIT):
                return ready
            is_idle = not self._is_a_thread_busy()
            if is_idle and was_idle:  # twice: a thread between two states may look idle once
                self._clock.jump(timeout)
                return []
            was_idle = is_idle

    def _is_a_thread_busy(self) -> bool:
        frames = sys._current_frames()
        mine = threading.current_thread()
        found = (
            frames.get(thread.ident or 0)
            for thread in threading.enumerate()
            if thread is not mine and thread not in self._others
        )
        return any(frame is not None and not _is_waiting(frame) for frame in found)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


def _is_waiting(frame: FrameType) -> bool:
    """Whether the thread whose innermost frame this is waits, and nothing has woken it yet.

    A thread that was woken may stand there for a while, until it gets the interpreter lock.
    """
    known = _WAITS.get((frame.f_globals.get("__name__"), frame.f_code.co_name))
    return known is not None and known(frame.f_locals)


_WAITS: dict[tuple[object, str], Callable[[Mapping[str, Any]], bool]] = {
    # Events, conditions, futures, queues: whoever notifies takes the waiter off the list.
    ("threading", "wait"): lambda local: local.get("waiter") in local["self"]._waiters,
    ("threading", "join"): lambda local: local["self"] in threading.enumerate(),
    ("threading", "_wait_for_tstate_lock"): lambda local: local["self"] in threading.enumerate(),
    ("selectors", "select"): lambda local: True,
    # Idle threads of pools.
    ("concurrent.futures.thread", "_worker"): lambda local: (
        local.get("work_item") is None and local["work_queue"].qsize() == 0
    ),
    ("loadonce.inference.threads", "_work"): lambda local: (
        local.get("job") is None and local["self"]._jobs.qsize() == 0
    ),
}
