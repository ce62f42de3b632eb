"""The supervisor: owns the socket and the signals, and sees to it that workers serve.

It imports nothing of the app and has one thread and no event loop, so that it can fork.
"""

from __future__ import annotations

import os
import signal
import socket
import time

from loadonce.server.app.ending import EXIT_FAILED, EXIT_STOPPED
from loadonce.server.app.listening import url_of
from loadonce.server.app.logs import StartLines
from loadonce.server.board.board import Board
from loadonce.server.board.server_info import ServerInfo
from loadonce.server.board.telling import Teller, has_terminal
from loadonce.server.options import ServeOptions
from loadonce.system.channel import Message
from loadonce.system.crashes import Crashes, is_crash
from loadonce.system.linux import adopt_orphans
from loadonce.system.systemd import Notifier
from loadonce.system.watching import Watch

from .child_processes import Failure, WorkerProcess, kill, tell_death
from .control import Control
from .exit_code import ExitCode
from .generations import Generations, Tell
from .health import kill_idle_zygotes, kill_silent
from .pool import WorkerPool
from .quarantine import Quarantine, suspects_of
from .recycling import Recycled, hung, measure_new, next_to_recycle
from .spawning import tell_copies
from .zygote import ServerContext

_LOOK = 0.5  # seconds between two looks at the signs of life
_RECYCLE = 1.0  # and at what they have served; to read their memory takes milliseconds


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
        self._exit = ExitCode()
        self._pool = WorkerPool(
            *(self._context, self._watch, self._hear_worker, self._lose_worker),
            vacant=lambda: self._generations.fill(),
        )
        self._generations = Generations(
            *(self._context, self._watch, self._crashes, self._teller, self._pool, self._exit),
            forget=self._control.close,
        )
        self._looked_at = time.monotonic()
        self._interrupts = 0

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
            while self._exit.code is None or self._pool.workers:
                self._watch.turn()
            self._generations.end()
        return self._exit.code

    # -- workers -------------------------------------------------------------------------------

    def _hear_worker(self, worker: WorkerProcess, message: Message) -> None:
        zygote = worker.zygote
        if message["what"] == "started":
            worker.pid, worker.models = message["pid"], message["models"]
            if self._exit.is_stopping:
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
        for former in self._pool.workers:
            if former.is_retiring and former.number == worker.number and not former.is_leaving:
                self._pool.let_leave(former)
        self._generations.fill()
        ready = [each for each in self._pool.of(zygote) if each.ready_at]
        if zygote is self._generations.coming and len(ready) == self._options.workers:
            self._generations.take_over(models)

    def _retire(self, found: Recycled) -> None:
        """Have it leave once its successor is ready; not before its predecessor has left."""
        of_number = [each for each in self._pool.workers if each.number == found.worker.number]
        is_replacing = any(each.is_leaving or each.is_retiring for each in of_number)
        if not (self._exit.is_stopping or is_replacing) and found.worker.zygote.is_alive:
            found.tell()
            found.worker.is_retiring = True
            self._generations.fill()

    def _lose_worker(self, worker: WorkerProcess, status: int) -> None:
        now, suspects, in_call = time.monotonic(), suspects_of(worker), worker.in_call()
        self._pool.remove(worker)
        if self._exit.is_stopping:
            if status != EXIT_STOPPED and not worker.is_leaving:
                self._exit.end(EXIT_FAILED)
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
                self._pool.hold(worker.number, delay)
        self._generations.fill()

    def _isolate(self) -> None:
        """Let all workers know what is in quarantine."""
        self._pool.send({"what": "quarantine", "models": self._quarantine.kept})

    def _look(self) -> None:
        now, timeout = time.monotonic(), self._options.worker_timeout
        pause, self._looked_at = now - self._looked_at, now
        if pause < max(2 * _LOOK, timeout / 2):  # else this process was stopped: all were, perhaps
            kill_silent(self._pool.workers, timeout)
            kill_idle_zygotes(self._pool.workers, timeout)
        if self._options.reload_models:
            self._generations.look_at_locks()
        self._watch.after(_LOOK, self._look)

    def _recycle(self) -> None:
        """Replace a worker that has served long enough; one at a time."""
        serving = self._pool.of(self._generations.current)
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
            self._pool.signal(signal.SIGINT)
        if self._exit.is_stopping:
            return
        self._exit.end(EXIT_STOPPED)
        is_serving = self._teller.has_served
        self._teller.stopping(number.name, is_told_by_worker=bool(self._pool.workers))
        self._generations.stop()
        self._pool.signal(signal.SIGTERM)
        patience = self._options.drain_delay + self._options.grace if is_serving else 0.0
        self._pool.kill_slow(patience)

    def _answer(self, message: Message, tell: Tell) -> None:
        """What the command line asks for."""
        if message.get("what") == "reload":
            tell({"what": "accepted"})
            self._generations.reload(tell)
        elif message.get("what") == "rollback":
            self._generations.rollback(tell)
        elif message.get("what") == "cancel":
            self._generations.cancel(tell)
        else:
            tell({"what": "failed", "reason": "this server knows no such request"})

    def _reap(self, pid: int, status: int) -> None:
        self._generations.reap(pid, status)
        for worker in list(self._pool.workers):
            if not worker.ready_at:  # it may have told before it ended
                self._pool.hear_all(worker)
            if worker.pid == pid:
                self._lose_worker(worker, status)


def _nobody(_message: Message) -> None:
    """The log tells."""
