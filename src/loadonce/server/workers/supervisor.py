"""The supervisor: owns the socket and the signals, and sees to it that workers serve.

It imports nothing of the app and has one thread and no event loop, so that it can fork.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections import Counter

from loadonce.observe.events import log_fields
from loadonce.server.app.ending import EXIT_FAILED, EXIT_STOPPED
from loadonce.server.app.listening import url_of
from loadonce.server.app.logs import StartLines
from loadonce.server.board.board import Board
from loadonce.server.board.server_info import ServerInfo
from loadonce.server.board.telling import Teller, has_terminal
from loadonce.server.options import ServeOptions
from loadonce.system.channel import Channel, Message
from loadonce.system.crashes import Crashes, is_crash
from loadonce.system.linux import adopt_orphans
from loadonce.system.systemd import Notifier
from loadonce.system.watching import Watch

from .child_processes import Failure, WorkerProcess, ZygoteProcess, kill, tell_death
from .control import Control
from .expecting import expected_of
from .generations import Generations, Tell
from .health import kill_idle_zygotes, kill_silent
from .quarantine import Quarantine, suspects_of
from .recycling import Recycled, hung, measure_new, next_to_recycle, request_limit
from .spawning import tell_copies
from .zygote import ServerContext

_LOOK = 0.5  # seconds between two looks at the signs of life
_RECYCLE = 1.0  # and at what they have served; to read their memory takes milliseconds
_KILL_AFTER = 2.0  # seconds after the grace


class Supervisor:
    """Runs one server of several workers.

    Args:
        options: of the server; `workers` says how many.
        lines: hold back the log lines of single models until the start is over.
        listener: the socket all workers accept from.
        began: when the program began, by `time.monotonic()`.
        notifier: tells systemd.
    """

    def __init__(
        self,
        options: ServeOptions,
        lines: StartLines,
        listener: socket.socket,
        began: float,
        notifier: Notifier,
    ) -> None:
        self._options = options
        url = url_of(listener, options.scheme)
        # Those that serve, their successors, those that come, those that leave and what is left of
        # a generation that failed exist together.
        rows = 5 * options.workers + 1
        is_forked = not options.loads_in_each_worker
        self._board = Board(rows) if is_forked else Board.inheritable(rows)
        self._quarantine = Quarantine()
        self._context = ServerContext(
            options, lines, listener, self._board, os.getpid(), self._quarantine
        )
        self._watch = Watch(self._receive, self._reap)
        self._control = Control(self._watch, self._answer)
        info = ServerInfo.of(options, url, str(self._control.path))
        self._teller = Teller(info, self._board.info, began, notifier)
        self._crashes = Crashes()
        self._generations = Generations(
            options, self._context, self._watch, self._crashes, self._teller, self
        )
        self.workers: list[WorkerProcess] = []
        self._starts: Counter[int] = Counter()  # by number
        self._held: set[int] = set()  # numbers whose next worker waits
        self._looked_at = time.monotonic()
        self._interrupts = 0
        self._code: int | None = None

    def run(self) -> int:
        """Start, watch, stop; returns the exit code."""
        if self._options.loads_in_each_worker:
            tell_copies(self._options)
        else:
            adopt_orphans()
        with self._watch.signals(), self._control.open():
            self._generations.start()
            self._look()
            self._teller.notifier.keep_alive(self._watch.after)
            if self._options.max_worker_bytes or self._options.max_worker_requests:
                self._recycle()
            while self._code is None or self.workers:
                self._watch.turn()
            self._generations.end()
        return self._code

    @property
    def is_stopping(self) -> bool:
        """Whether the end has begun."""
        return self._code is not None

    # -- what generations ask for --------------------------------------------------------------

    def forget(self) -> None:
        """In a forked process: what is the supervisor's alone."""
        self._watch.forget()
        self._generations.close()
        self._control.close()
        for worker in self.workers:
            worker.channel.close()

    def end(self, code: int) -> None:
        """Nothing is left to do; the worst code counts."""
        self._code = max(code, self._code or 0)

    # -- workers -------------------------------------------------------------------------------

    def fill(self) -> None:
        """Have a worker for each number in each generation; of one that has not served yet the
        first alone, so that what it lacks is told once."""
        for zygote in (self._generations.current, self._generations.coming):
            if self.is_stopping or zygote is None or not (zygote.is_loaded and zygote.is_alive):
                continue
            present = {
                worker.number
                for worker in self.workers
                if worker.zygote is zygote and not (worker.is_leaving or worker.is_retiring)
            }
            if zygote is self._generations.current:
                present |= self._held
            last = self._options.workers if zygote.has_served else 1
            for number in range(1, last + 1):
                if number not in present:
                    self._start_worker(zygote, number)

    def _start_worker(self, zygote: ZygoteProcess, number: int) -> None:
        used = {worker.row.number for worker in self.workers}
        row = next(each for each in self._board if each.number not in used)
        row.clear()
        ours, theirs = Channel.pair()
        worker = WorkerProcess(number, zygote, row, ours, time.monotonic())
        worker.request_limit = request_limit(self._options)
        spec: Message = {"number": number, "row": row.number}
        spec |= {"restarts": self._starts[number], "quarantined": self._quarantine.kept}
        is_first = self._generations.current is None  # nobody has been told that it serves
        spec |= {"expected": [] if is_first else expected_of(self.workers)}
        self._starts[number] += 1
        self.workers.append(worker)
        try:
            zygote.start_worker(worker, theirs, spec)
        except OSError as error:
            fields = {"worker": number, "reason": str(error)}
            log_fields(logging.ERROR, "a worker cannot be started", fields)
            self._watch.after(0.0, lambda: self._lose_worker(worker, EXIT_FAILED))
            return
        finally:
            theirs.close()
        self._watch.listen(
            ours,
            lambda message: self._hear_worker(worker, message),
            lambda: self._miss_worker(worker),
        )

    def _miss_worker(self, worker: WorkerProcess) -> None:
        """Its channel is closed: it has ended, which SIGCHLD tells, or it was never forked."""
        if not worker.pid:
            self.workers.remove(worker)
            self._watch.hang_up(worker.channel)
            self.fill()

    def _hear_worker(self, worker: WorkerProcess, message: Message) -> None:
        zygote = worker.zygote
        if message["what"] == "started":
            worker.pid, worker.models = message["pid"], message["models"]
            if self.is_stopping:
                kill(worker.pid, signal.SIGTERM)
            elif worker.is_leaving:
                kill(worker.pid, signal.SIGKILL)
            return
        if message["what"] == "unforked":
            self._lose_worker(worker, EXIT_FAILED)
            return
        if message["what"] == "hung":
            self._retire(hung(worker, message["model"], message["seconds"]))
            return
        if message["what"] == "failed":
            zygote.failure = Failure.of(message)
            return
        if message["what"] == "quarantined":
            if self._quarantine.hear(message["model"], message["sha256"]):
                self._isolate()
            return
        if message["what"] == "locks":
            self._generations.hear_locks(zygote, message["locks"])
            return
        if message["what"] == "reload":
            self._generations.reload(worker.channel.send)
            return
        if message["what"] == "late":
            worker.late = message["models"]
            return
        self._welcome(worker, message["models"])

    def _welcome(self, worker: WorkerProcess, models: int) -> None:
        """It accepts requests."""
        zygote = worker.zygote
        measure_new(worker, self._options.max_worker_bytes)
        worker.ready_at = time.monotonic()
        zygote.has_served = True
        fields = {
            "worker": worker.number,
            "pid": worker.pid,
            "seconds": round(worker.ready_at - worker.asked_at, 3),
        }
        self._teller.step("worker ready", fields)
        for former in self.workers:
            if former.is_retiring and former.number == worker.number and not former.is_leaving:
                self.let_leave(former)
        self.fill()
        ready = [each for each in self.workers if each.zygote is zygote and each.ready_at]
        if zygote is self._generations.coming and len(ready) == self._options.workers:
            self._held.clear()
            self._generations.take_over(models)

    def _retire(self, found: Recycled) -> None:
        """Have it leave once its successor is ready; not before its predecessor has left."""
        of_number = [each for each in self.workers if each.number == found.worker.number]
        is_replacing = any(each.is_leaving or each.is_retiring for each in of_number)
        if not (self.is_stopping or is_replacing) and found.worker.zygote.is_alive:
            found.tell()
            found.worker.is_retiring = True
            self.fill()

    def let_leave(self, worker: WorkerProcess) -> None:
        """It is to finish and go."""
        worker.is_leaving = True
        worker.channel.send({"what": "leave"})
        seconds = self._options.grace + _KILL_AFTER
        self._watch.after(seconds, lambda: self._kill_slow(worker))

    def _lose_worker(self, worker: WorkerProcess, status: int) -> None:
        now, suspects, in_call = time.monotonic(), suspects_of(worker), worker.in_call()
        worker.row.clear()
        self.workers.remove(worker)
        self._watch.hang_up(worker.channel)
        if self.is_stopping:
            if status != EXIT_STOPPED and not worker.is_leaving:
                self.end(EXIT_FAILED)
            return
        if worker.is_leaving:
            self._generations.after_leaving()
            return
        if worker.zygote is self._generations.coming:
            self._generations.fail(status, "a worker died before it was ready")
            return
        tell_death("worker died", status, worker=worker.number, pid=worker.pid, **in_call)
        age = now - worker.ready_at if worker.ready_at else 0.0
        if not worker.ready_at:  # what it should load may have been replaced
            self._generations.look_at_locks()
        if is_crash(status, age):
            if self._quarantine.judge(now, suspects) is not None:
                self._isolate()
            if delay := self._crashes.delay_after(now):
                self._held.add(worker.number)
                self._watch.after(delay, lambda: self._release(worker.number))
        self.fill()

    def _isolate(self) -> None:
        """Let all workers know what is in quarantine."""
        for each in self.workers:
            each.channel.send({"what": "quarantine", "models": self._quarantine.kept})

    def _release(self, number: int) -> None:
        self._held.discard(number)
        self.fill()

    def _look(self) -> None:
        now, timeout = time.monotonic(), self._options.worker_timeout
        pause, self._looked_at = now - self._looked_at, now
        if pause < max(2 * _LOOK, timeout / 2):  # else this process was stopped: all were, perhaps
            kill_silent(self.workers, timeout)
            kill_idle_zygotes(self.workers, timeout)
        if self._options.reload_models:
            self._generations.look_at_locks()
        self._watch.after(_LOOK, self._look)

    def _recycle(self) -> None:
        """Replace a worker that has served long enough; one at a time."""
        serving = [each for each in self.workers if each.zygote is self._generations.current]
        found = next_to_recycle(serving, self._options.max_worker_bytes)
        if found is not None:
            self._retire(found)
        self._watch.after(_RECYCLE, self._recycle)

    # -- signals and ends ----------------------------------------------------------------------

    def _receive(self, number: signal.Signals) -> None:
        if number == signal.SIGHUP and not has_terminal():
            self._generations.reload(_nobody)
        else:
            self._stop(number)

    def _stop(self, number: signal.Signals) -> None:
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            self._signal_workers(signal.SIGINT)
        if self.is_stopping:
            return
        self._code = EXIT_STOPPED
        is_serving = self._teller.has_served
        self._teller.stopping(number.name, is_told_by_worker=bool(self.workers))
        self._generations.stop()
        self._signal_workers(signal.SIGTERM)
        patience = self._options.drain_delay + self._options.grace if is_serving else 0.0
        for worker in self.workers:
            self._watch.after(patience + _KILL_AFTER, lambda w=worker: self._kill_slow(w))  # type: ignore[misc]

    def _kill_slow(self, worker: WorkerProcess) -> None:
        if worker in self.workers:
            fields = {"worker": worker.number, "pid": worker.pid}
            log_fields(logging.ERROR, "worker does not stop, killing it", fields)
            kill(worker.pid, signal.SIGKILL)

    def _answer(self, message: Message, tell: Tell) -> None:
        """What the command line asks for."""
        if message.get("what") == "reload":
            tell({"what": "accepted"})
            self._generations.reload(tell)
        elif message.get("what") == "rollback":
            self._generations.rollback(tell)
        else:
            tell({"what": "failed", "reason": "this server knows no such request"})

    def _signal_workers(self, number: signal.Signals) -> None:
        for worker in self.workers:
            kill(worker.pid, number)

    def _reap(self, pid: int, status: int) -> None:
        self._generations.reap(pid, status)
        for worker in list(self.workers):
            if not worker.ready_at:  # it may have told before it ended
                self._hear_all(worker)
            if worker.pid == pid:
                self._lose_worker(worker, status)

    def _hear_all(self, worker: WorkerProcess) -> None:
        self._watch.drain(
            worker.channel,
            lambda message: self._hear_worker(worker, message),
            lambda: self._miss_worker(worker),
        )


def _nobody(_message: Message) -> None:
    """The log tells."""
