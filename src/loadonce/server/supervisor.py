"""The supervisor: owns the socket and the signals, and sees to it that workers serve.

It imports nothing of the app and has one thread and no event loop, so that it can fork.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import time
from collections import Counter
from functools import partial

from loadonce.observe.events import log_fields
from loadonce.owner.crashes import Crashes, is_crash

from .board import Board
from .channel import Channel, Message
from .cover import Cover
from .ending import EXIT_FAILED, EXIT_START_FAILED, EXIT_STOPPED
from .health import kill_silent
from .linux import adopt_orphans
from .listening import url_of
from .locks import changed
from .logs import StartLines
from .offspring import WorkerProcess, ZygoteProcess, kill, tell_death
from .options import ServeOptions
from .quarantine import Quarantine, suspects_of
from .recycling import Recycled, hung, next_to_recycle, request_limit
from .systemd import Notifier
from .telling import Teller, has_terminal
from .watching import Watch
from .zygote import Nursery, fork_zygote

_LOOK = 0.5  # seconds between two looks at the signs of life
_RECYCLE = 1.0  # and at what they have served; to read their memory takes milliseconds
_KILL_AFTER = 2.0  # seconds after the grace
_LAST_FUNCTIONS = 6.0  # seconds for what is registered with atexit; the process gives it 5


class Supervisor:
    """Runs one server of several workers.

    A generation is a zygote and its workers. The current one serves; a coming one, after a reload
    or the end of the current zygote, takes over once all its workers are ready.

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
        self._teller = Teller(options, url, began, notifier)
        # Those that serve, those that come and those that leave exist together.
        self._board = Board(3 * options.workers + 1)
        self._board.cover.write(Cover.of(options, url).as_json())
        self._nursery = Nursery(options, lines, listener, self._board, os.getpid())
        self._watch = Watch(self._receive, self._bury)
        self._crashes = Crashes()
        self._quarantine = Quarantine()
        self._current: ZygoteProcess | None = None
        self._coming: ZygoteProcess | None = None
        self._wants_reload = False
        self._is_taking_over = False
        self._workers: list[WorkerProcess] = []
        self._births: Counter[int] = Counter()  # by number
        self._held: set[int] = set()  # numbers whose next worker waits
        self._interrupts = 0
        self._code: int | None = None

    def run(self) -> int:
        """Start, watch, stop; returns the exit code."""
        adopt_orphans()
        with self._watch.signals():
            self._start_generation()
            self._look()
            self._teller.notifier.keep_alive(self._watch.after)
            if self._options.max_worker_bytes or self._options.max_worker_requests:
                self._recycle()
            while self._code is None or self._workers:
                self._watch.turn()
            self._end_zygotes()
        return self._code

    @property
    def _is_stopping(self) -> bool:
        return self._code is not None

    # -- generations ---------------------------------------------------------------------------

    def _start_generation(self) -> None:
        if self._is_stopping or self._coming is not None:
            return
        gc.freeze()  # else the zygote's collections would copy it all
        pid, channel = fork_zygote(self._nursery, self._forget)
        zygote = self._coming = ZygoteProcess(pid, channel, time.monotonic())
        # Its end is told by SIGCHLD.
        self._watch.listen(channel, lambda message: self._hear_zygote(zygote, message), _nothing)

    def _forget(self) -> None:
        """In a forked process: what is the supervisor's alone."""
        self._watch.forget()
        for worker in self._workers:
            worker.channel.close()
        if self._current is not None:
            self._current.channel.close()

    def _hear_zygote(self, zygote: ZygoteProcess, message: Message) -> None:
        zygote.is_loaded = True
        zygote.locks, zygote.keeper = message["locks"], message["keeper"]
        fields = {"models": message["inherited"], "seconds": message["seconds"]}
        self._teller.step("models loaded once for all workers", fields)
        self._fill()

    def _reload(self) -> None:
        """Load anew beside what serves; again, if that is under way."""
        if self._coming is not None or self._is_taking_over:
            self._wants_reload = True
            return
        self._wants_reload = False
        self._teller.reloading()
        self._start_generation()

    def _take_over(self, models: int) -> None:
        """All workers of the coming generation are ready."""
        old, self._current, self._coming = self._current, self._coming, None
        assert self._current is not None
        self._held.clear()
        if old is None:
            self._teller.ready(models)
            return
        self._teller.reloaded(time.monotonic() - self._current.began)
        self._watch.hang_up(old.channel)
        self._is_taking_over = True
        for worker in self._workers:
            if worker.zygote is not self._current:
                self._let_leave(worker)
        self._after_leaving()

    def _lose_zygote(self, zygote: ZygoteProcess, status: int) -> None:
        zygote.is_alive = False
        if zygote is self._coming:
            self._fail_coming(status, "the loading process died")
        elif not self._is_stopping:
            tell_death("the loading process died, the workers serve on", status)
            self._start_again()

    def _fail_coming(self, status: int, what: str) -> None:
        """The coming generation will not serve. It has told why, unless something killed it."""
        zygote, self._coming = self._coming, None
        assert zygote is not None
        self._watch.hang_up(zygote.channel)
        for worker in self._workers:
            if worker.zygote is zygote:
                worker.is_leaving = True
                kill(worker.pid, signal.SIGKILL)
        if self._is_stopping:
            if status not in (EXIT_STOPPED, -signal.SIGTERM):
                self._code = max(EXIT_FAILED, self._code or 0)
            return
        if status < 0:
            tell_death(what, status)
        if self._current is None:
            self._code = status if status > 0 else EXIT_START_FAILED
            return
        self._teller.reload_failed(status)
        if not self._current.is_alive:
            self._start_again()

    def _end_zygotes(self) -> None:
        """No worker lives: the process that loaded runs what the app has registered with atexit."""
        for zygote in filter(None, (self._current, self._coming)):
            self._watch.hang_up(zygote.channel)
            self._watch.after(_LAST_FUNCTIONS, partial(kill, zygote.pid, signal.SIGKILL))
            self._watch.after(_LAST_FUNCTIONS, partial(kill, zygote.keeper, signal.SIGKILL))
            while zygote.is_alive or zygote.keeper:
                self._watch.turn()

    def _start_again(self) -> None:
        delay = self._crashes.delay_after(time.monotonic())
        self._watch.after(delay, self._start_generation)

    # -- workers -------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Have a worker for each number in each generation; of one that has not served yet the
        first alone, so that what it lacks is told once."""
        for zygote in (self._current, self._coming):
            if self._is_stopping or zygote is None or not (zygote.is_loaded and zygote.is_alive):
                continue
            present = {
                worker.number
                for worker in self._workers
                if worker.zygote is zygote and not (worker.is_leaving or worker.is_retiring)
            }
            if zygote is self._current:
                present |= self._held
            last = self._options.workers if zygote.has_served else 1
            for number in range(1, last + 1):
                if number not in present:
                    self._fork_worker(zygote, number)

    def _fork_worker(self, zygote: ZygoteProcess, number: int) -> None:
        used = {worker.row.number for worker in self._workers}
        row = next(each for each in self._board if each.number not in used)
        row.clear()
        ours, theirs = Channel.pair()
        worker = WorkerProcess(number, zygote, row, ours, time.monotonic())
        worker.request_limit = request_limit(self._options)
        birth: Message = {"number": number, "row": row.number}
        birth |= {"restarts": self._births[number], "quarantined": self._quarantine.kept}
        self._births[number] += 1
        zygote.channel.send(birth, theirs.fileno())
        theirs.close()
        self._workers.append(worker)
        self._watch.listen(
            ours,
            lambda message: self._hear_worker(worker, message),
            lambda: self._miss_worker(worker),
        )

    def _miss_worker(self, worker: WorkerProcess) -> None:
        """Its channel is closed: it has ended, which SIGCHLD tells, or it was never forked."""
        if not worker.pid:
            self._workers.remove(worker)
            self._watch.hang_up(worker.channel)
            self._fill()

    def _hear_worker(self, worker: WorkerProcess, message: Message) -> None:
        zygote = worker.zygote
        if message["what"] == "born":
            worker.pid, worker.models = message["pid"], message["models"]
            if self._is_stopping:
                kill(worker.pid, signal.SIGTERM)
            elif worker.is_leaving:
                kill(worker.pid, signal.SIGKILL)
            return
        if message["what"] == "hung":
            self._retire(hung(worker, message["model"], message["seconds"]))
            return
        worker.ready_at = time.monotonic()
        zygote.has_served = True
        fields = {
            "worker": worker.number,
            "pid": worker.pid,
            "seconds": round(worker.ready_at - worker.asked_at, 3),
        }
        self._teller.step("worker ready", fields)
        for former in self._workers:
            if former.is_retiring and former.number == worker.number and not former.is_leaving:
                self._let_leave(former)
        self._fill()
        ready = [each for each in self._workers if each.zygote is zygote and each.ready_at]
        if zygote is self._coming and len(ready) == self._options.workers:
            self._take_over(message["models"])

    def _retire(self, found: Recycled) -> None:
        """Have it leave once its successor is ready; not before its predecessor has left."""
        of_number = [each for each in self._workers if each.number == found.worker.number]
        is_replacing = any(each.is_leaving or each.is_retiring for each in of_number)
        if not (self._is_stopping or is_replacing) and found.worker.zygote.is_alive:
            found.tell()
            found.worker.is_retiring = True
            self._fill()

    def _let_leave(self, worker: WorkerProcess) -> None:
        worker.is_leaving = True
        worker.channel.send({"what": "leave"})
        seconds = self._options.grace + _KILL_AFTER
        self._watch.after(seconds, lambda: self._kill_slow(worker))

    def _after_leaving(self) -> None:
        former = [each for each in self._workers if each.zygote is not self._current]
        if former or not self._is_taking_over:
            return
        self._is_taking_over = False
        log_fields(logging.INFO, "the former generation has ended", {})
        if self._wants_reload:
            self._reload()

    def _lose_worker(self, worker: WorkerProcess, status: int) -> None:
        now, suspects, in_call = time.monotonic(), suspects_of(worker), worker.in_call()
        worker.row.clear()
        self._workers.remove(worker)
        self._watch.hang_up(worker.channel)
        if self._is_stopping:
            if status != EXIT_STOPPED and not worker.is_leaving:
                self._code = max(EXIT_FAILED, self._code or 0)
            return
        if worker.is_leaving:
            self._after_leaving()
            return
        if worker.zygote is self._coming:
            self._fail_coming(status, "a worker died before it was ready")
            return
        tell_death("worker died", status, worker=worker.number, pid=worker.pid, **in_call)
        age = now - worker.ready_at if worker.ready_at else 0.0
        if is_crash(status, age):
            if self._quarantine.judge(now, suspects) is not None:
                for each in self._workers:
                    each.channel.send({"what": "quarantine", "models": self._quarantine.kept})
            if delay := self._crashes.delay_after(now):
                self._held.add(worker.number)
                self._watch.after(delay, lambda: self._release(worker.number))
        self._fill()

    def _release(self, number: int) -> None:
        self._held.discard(number)
        self._fill()

    def _look(self) -> None:
        kill_silent(self._workers, self._options.worker_timeout)
        if self._options.reload_models and self._current is not None:
            self._look_at_locks(self._current)
        self._watch.after(_LOOK, self._look)

    def _recycle(self) -> None:
        """Replace a worker that has served long enough; one at a time."""
        serving = [each for each in self._workers if each.zygote is self._current]
        found = next_to_recycle(serving, self._options.max_worker_bytes)
        if found is not None:
            self._retire(found)
        self._watch.after(_RECYCLE, self._recycle)

    def _look_at_locks(self, zygote: ZygoteProcess) -> None:
        if found := changed(zygote.locks):
            zygote.locks |= {path: list(stamp) for path, stamp in found.items()}  # asked for once
            log_fields(logging.INFO, "lock file changed", {"paths": ", ".join(found)})
            self._reload()

    # -- signals and ends ----------------------------------------------------------------------

    def _receive(self, number: signal.Signals) -> None:
        if number == signal.SIGHUP and not has_terminal():
            self._reload()
        else:
            self._stop(number)

    def _stop(self, number: signal.Signals) -> None:
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            self._signal_workers(signal.SIGINT)
        if self._is_stopping:
            return
        self._code = EXIT_STOPPED
        is_serving = self._current is not None
        self._teller.stopping(number.name, is_told_by_worker=bool(self._workers))
        if self._coming is not None:
            kill(self._coming.pid, signal.SIGTERM)  # it closes what it has loaded so far
        self._signal_workers(signal.SIGTERM)
        patience = self._options.drain_delay + self._options.grace if is_serving else 0.0
        for worker in self._workers:
            self._watch.after(patience + _KILL_AFTER, lambda w=worker: self._kill_slow(w))  # type: ignore[misc]

    def _kill_slow(self, worker: WorkerProcess) -> None:
        if worker in self._workers:
            fields = {"worker": worker.number, "pid": worker.pid}
            log_fields(logging.ERROR, "worker does not stop, killing it", fields)
            kill(worker.pid, signal.SIGKILL)

    def _signal_workers(self, number: signal.Signals) -> None:
        for worker in self._workers:
            kill(worker.pid, number)

    def _bury(self, pid: int, status: int) -> None:
        for zygote in filter(None, (self._current, self._coming)):
            if zygote.pid == pid or zygote.loses_keeper(pid, status):
                self._lose_zygote(zygote, status)
        for worker in list(self._workers):
            if not worker.pid:  # it may have told before it ended
                self._hear_all(worker)
            if worker.pid == pid:
                self._lose_worker(worker, status)

    def _hear_all(self, worker: WorkerProcess) -> None:
        self._watch.drain(
            worker.channel, lambda message: self._hear_worker(worker, message), _nothing
        )


def _nothing() -> None:
    """Another event tells."""
