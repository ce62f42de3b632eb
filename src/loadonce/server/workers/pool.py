"""The pool: the workers of all generations, how each starts, leaves and is killed."""

from __future__ import annotations

import logging
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from loadonce.observe.events import log_fields
from loadonce.server.app.ending import EXIT_FAILED
from loadonce.system.channel import Channel, Message
from loadonce.system.watching import Watch

from .child_processes import WorkerProcess, ZygoteProcess, kill
from .recycling import request_limit
from .zygote import ServerContext

_KILL_AFTER = 2.0  # seconds after the grace


class WorkerPool:
    """Knows the workers of one server, and decides nothing about them.

    Args:
        context: of the server.
        watch: hears what they tell.
        hear: called with a worker and a message of it.
        lose: called with a worker that cannot be started, and an exit code.
        vacant: called when a number can be given to another worker.
    """

    def __init__(
        self,
        context: ServerContext,
        watch: Watch,
        hear: Callable[[WorkerProcess, Message], None],
        lose: Callable[[WorkerProcess, int], None],
        vacant: Callable[[], None],
    ) -> None:
        self.workers: list[WorkerProcess] = []
        self._context = context
        self._watch = watch
        self._hear = hear
        self._lose = lose
        self._vacant = vacant
        self._starts: Counter[int] = Counter()  # by number
        self._held: set[int] = set()  # numbers whose next worker waits

    def of(self, zygote: ZygoteProcess | None) -> list[WorkerProcess]:
        """The workers of a generation."""
        return [worker for worker in self.workers if worker.zygote is zygote]

    def fill(self, zygote: ZygoteProcess, expected: list[str], *, is_held: bool) -> None:
        """Have a worker for each number; of a generation that has not served yet the first alone,
        so that what it lacks is told once.

        Args:
            zygote: of the generation.
            expected: the models that a new worker must serve from its start on.
            is_held: whether it waits for the numbers that are held.
        """
        staying = [each for each in self.of(zygote) if not (each.is_leaving or each.is_retiring)]
        present = {worker.number for worker in staying} | (self._held if is_held else set())
        last = self._context.options.workers if zygote.has_served else 1
        for number in range(1, last + 1):
            if number not in present:
                self._start(zygote, number, expected)

    def hold(self, number: int, seconds: float) -> None:
        """Let the next worker of this number wait."""
        self._held.add(number)
        self._watch.after(seconds, partial(self._release, number))

    def release(self) -> None:
        """No number waits any more."""
        self._held.clear()

    def send(self, message: Message) -> None:
        """Tell all workers."""
        for worker in self.workers:
            worker.channel.send(message)

    def signal(self, number: signal.Signals) -> None:
        """Send all a signal."""
        for worker in self.workers:
            kill(worker.pid, number)

    def let_leave(self, worker: WorkerProcess) -> None:
        """It is to finish and go."""
        worker.is_leaving = True
        worker.channel.send({"what": "leave"})
        self._kill_after(worker, self._context.options.grace)

    def dismiss(self, failed: ZygoteProcess, *, serving: ZygoteProcess | None) -> None:
        """End the workers of a generation. Those that were ready have clients, perhaps, and finish;
        unless another generation has failed and they do so still: there are only so many rows on
        the board."""
        known = {worker.zygote for worker in self.workers}
        may_finish = serving is not None and known <= {failed, serving}
        for worker in self.of(failed):
            if worker.ready_at and may_finish:
                self.let_leave(worker)
            else:
                worker.is_leaving = True
                kill(worker.pid, signal.SIGKILL)

    def kill_slow(self, patience: float) -> None:
        """Kill those that have not ended when this and a little more is over."""
        for worker in self.workers:
            self._kill_after(worker, patience)

    def hear_all(self, worker: WorkerProcess) -> None:
        """Hear what one has told already."""
        self._watch.drain(worker.channel, partial(self._hear, worker), partial(self._miss, worker))

    def remove(self, worker: WorkerProcess) -> None:
        """It has ended."""
        worker.row.clear()
        self._forget(worker)

    def close(self) -> None:
        """In a forked process: this is not its business."""
        for worker in self.workers:
            worker.channel.close()

    # -- steps ---------------------------------------------------------------------------------

    def _start(self, zygote: ZygoteProcess, number: int, expected: list[str]) -> None:
        used = {worker.row.number for worker in self.workers}
        row = next(each for each in self._context.board if each.number not in used)
        row.clear()
        ours, theirs = Channel.pair()
        worker = WorkerProcess(number, zygote, row, ours, time.monotonic())
        worker.request_limit = request_limit(self._context.options)
        spec: Message = {"number": number, "row": row.number, "expected": expected}
        spec |= {"restarts": self._starts[number], "quarantined": self._context.quarantine.kept}
        self._starts[number] += 1
        self.workers.append(worker)
        try:
            zygote.start_worker(worker, theirs, spec)
        except OSError as error:
            fields = {"worker": number, "reason": str(error)}
            log_fields(logging.ERROR, "a worker cannot be started", fields)
            self._watch.after(0.0, lambda: self._lose(worker, EXIT_FAILED))
            return
        finally:
            theirs.close()
        self._watch.listen(ours, partial(self._hear, worker), partial(self._miss, worker))

    def _miss(self, worker: WorkerProcess) -> None:
        """Its channel is closed: it has ended, which SIGCHLD tells, or it was never forked."""
        if not worker.pid:
            self._forget(worker)
            self._vacant()

    def _forget(self, worker: WorkerProcess) -> None:
        self.workers.remove(worker)
        self._watch.hang_up(worker.channel)

    def _release(self, number: int) -> None:
        self._held.discard(number)
        self._vacant()

    def _kill_after(self, worker: WorkerProcess, patience: float) -> None:
        self._watch.after(patience + _KILL_AFTER, partial(self._kill, worker))

    def _kill(self, worker: WorkerProcess) -> None:
        if worker in self.workers:
            fields = {"worker": worker.number, "pid": worker.pid}
            log_fields(logging.ERROR, "worker does not stop, killing it", fields)
            kill(worker.pid, signal.SIGKILL)
