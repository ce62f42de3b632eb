"""Generations: which of them serves, comes, was; and how one takes over from another."""

from __future__ import annotations

import gc
import logging
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from loadonce.observe.events import log_fields
from loadonce.server.app.ending import EXIT_FAILED, EXIT_START_FAILED, EXIT_STOPPED
from loadonce.server.board.telling import Teller
from loadonce.system.channel import Message
from loadonce.system.crashes import Crashes, cause_of
from loadonce.system.watching import Watch

from . import refusals
from .child_processes import Failure, ZygoteProcess, kill, tell_death
from .exit_code import ExitCode
from .expecting import expected_of
from .locks import changed, stamps
from .pool import WorkerPool
from .room import Room
from .spawning import SpawnedGeneration
from .zygote import ServerContext, fork_zygote

Tell = Callable[[Message], object]

_LAST_FUNCTIONS = 6.0  # seconds for what is registered with atexit; the process gives it 5
_SLOW = 60.0  # seconds after which it is told that a generation is not ready yet


class Generations:
    """A generation is a zygote and its workers, or workers that have loaded by themselves.

    The current one serves; a coming one, after a reload, a rollback or the end of the current
    zygote, takes over once all its workers are ready. The former one's zygote stays for a rollback.

    Args:
        context, watch, crashes, teller, pool, exit_code: of the server.
        forget: closes, in a zygote, what else is the supervisor's alone.
    """

    def __init__(
        self,
        context: ServerContext,
        watch: Watch,
        crashes: Crashes,
        teller: Teller,
        pool: WorkerPool,
        exit_code: ExitCode,
        forget: Callable[[], None],
    ) -> None:
        self.current: ZygoteProcess | None = None
        self.coming: ZygoteProcess | None = None
        self.former: ZygoteProcess | None = None
        self._ending: list[ZygoteProcess] = []
        self._options = context.options
        self._context = context
        self._watch = watch
        self._crashes = crashes
        self._teller = teller
        self._pool = pool
        self._exit = exit_code
        self._forget = forget
        self._room = Room(context.options.reload_policy)
        self._asked: list[Tell] = []  # who wants to know what becomes of the change under way
        self._next: list[Tell] | None = None  # and of the reload that comes after it
        self._is_taking_over = False
        self._why_none_kept = refusals.NOT_RELOADED

    # -- what may be asked for -----------------------------------------------------------------

    def start(self) -> None:
        """Load, beside what serves if anything does."""
        if self._exit.is_stopping or self.coming is not None:
            return
        if self._options.loads_in_each_worker:
            self.coming = SpawnedGeneration(self._context)
            self.fill()
        else:
            self._fork_zygote()
        self._watch.after(_SLOW, self._tell_slow)

    def reload(self, tell: Tell) -> None:
        """Load anew; again, if that is under way, as at a start. Tells "serves", then "ended" once
        no answer comes from the former generation; or "failed", and why."""
        if self._exit.is_stopping:
            tell({"what": "failed", "reason": refusals.STOPPING})
        elif self._is_busy:
            self._next = [*(self._next or ()), tell]
        else:
            self._begin([tell])

    def rollback(self, tell: Tell) -> None:
        """Let the former generation serve again; loads nothing. Tells as `reload` does."""
        former = self.former
        if self._exit.is_stopping or self._is_busy or former is None:
            tell({"what": "failed", "reason": self._why_no_rollback()})
            return
        self._asked = [tell]
        self.coming, self.former = former, None
        self._why_none_kept = refusals.LOST  # if it fails
        self.coming.began, self.coming.failure = time.monotonic(), None
        # What is locked now is not what it has, and nobody asks to load that again.
        self.coming.locks |= stamps(self.coming.locks)
        self._teller.reloading("rolling back")
        self.fill()
        self._watch.after(_SLOW, self._tell_slow)

    def cancel(self, tell: Tell) -> None:
        """Give up the reload or rollback under way, which may hang, and the reload after it."""
        coming = self.coming
        if coming is None or self._why_no_cancel:
            tell({"what": "failed", "reason": self._why_no_cancel})
            return
        waiting, self._next = self._next or [], None
        for each in waiting:
            each({"what": "failed", "reason": refusals.CANCELLED})
        coming.failure = Failure(refusals.CANCELLED, refusals.CANCELLED)
        coming.kill()
        self.fail(EXIT_STOPPED, refusals.CANCELLED)
        tell({"what": "ended"})

    def look_at_locks(self) -> None:
        """Reload if a lock file has changed."""
        zygote = self.current
        if zygote is not None and (found := changed(zygote.locks)):
            zygote.locks |= found  # asked for once
            log_fields(logging.INFO, "lock file changed", {"paths": ", ".join(found)})
            self.reload(_ignore)

    def hear_locks(self, zygote: ZygoteProcess, locks: dict[str, Any]) -> None:
        """A worker that loads by itself tells what is locked now: others must not have anything
        else."""
        is_other = bool(zygote.locks) and locks != zygote.locks
        zygote.locks = locks
        if is_other and self.coming in (None, zygote):
            log_fields(logging.INFO, "a new worker finds other locked models, reloading", {})
            self.reload(_ignore)

    # -- what happens --------------------------------------------------------------------------

    def take_over(self, models: int) -> None:
        """All workers of the coming generation are ready."""
        old, self.current, self.coming = self.current, self.coming, None
        assert self.current is not None
        self._pool.release()
        if old is None:
            self._context.lines.started()
            self._teller.ready(models)
            self._go_on()
            return
        seconds = time.monotonic() - self.current.began
        self._teller.reloaded(seconds)
        self._keep(old)
        self._tell({"what": "serves", "seconds": round(seconds, 3)})
        self._is_taking_over = True
        for worker in self._pool.workers:
            if worker.zygote is not self.current:
                self._pool.let_leave(worker)
        self.after_leaving()

    def after_leaving(self) -> None:
        """A worker that was to leave has left."""
        former = [each for each in self._pool.workers if each.zygote is not self.current]
        self._give_room()
        if former or not self._is_taking_over:
            return
        self._is_taking_over = False
        log_fields(logging.INFO, "the former generation has ended", {})
        self._tell({"what": "ended"})
        self._asked = []
        self._go_on()

    def reap(self, pid: int, status: int) -> None:
        """A process has ended; perhaps it was one of ours."""
        for zygote in list(self._all()):
            if zygote.pid == pid:  # it may have told before it ended
                self._watch.drain(zygote.channel, partial(self._hear, zygote), _nothing)
            if zygote.loses_keeper(pid, status) or zygote.pid == pid:
                zygote.is_alive = False
                self._lose(zygote, status)
        self._ending = [zygote for zygote in self._ending if zygote.holds_memory]
        self._give_room()

    def fail(self, status: int, what: str) -> None:
        """The coming generation will not serve. It has told why, unless something killed it."""
        zygote, self.coming = self.coming, None
        assert zygote is not None
        self._let_go(zygote)
        self._pool.dismiss(zygote, serving=self.current)
        if self._exit.is_stopping:
            if status not in (EXIT_STOPPED, -signal.SIGTERM):
                self._exit.end(EXIT_FAILED)
            return
        if status < 0 or zygote.failure is None:
            tell_death(what, status, **zygote.at_work())
            status = min(status, EXIT_FAILED)  # the app's own would be taken for one of ours
        if self.current is None:
            self._exit.end(status if status > 0 else EXIT_START_FAILED)
            return
        during = f" while it loaded {zygote.loading}" if zygote.loading else ""
        killed = Failure(f"{what}{during}: {cause_of(status)}", what)
        self._tell_failed(zygote.failure or killed, status)

    def stop(self) -> None:
        """What loads is to close what it has loaded so far; nobody is to wait for it any more."""
        waiting = [*(self._next or ())]
        if not self._is_taking_over:  # else they have been told that it serves
            waiting += self._asked
        self._asked, self._next = [], None
        for tell in waiting:
            tell({"what": "failed", "reason": refusals.STOPPING})
        if self.coming is not None:
            kill(self.coming.pid, signal.SIGTERM)

    def end(self) -> None:
        """No worker lives: what has loaded runs what the app has registered with atexit."""
        for zygote in list(self._all()):
            self._let_go(zygote)
            self._watch.after(_LAST_FUNCTIONS, zygote.kill)
            while zygote.holds_memory:
                self._watch.turn()

    def fill(self) -> None:
        """Have all workers in each generation that can have some."""
        for zygote in (self.current, self.coming):
            if self._exit.is_stopping or zygote is None or not zygote.can_start:
                continue
            is_first = self.current is None  # nobody has been told that it serves
            expected = [] if is_first else expected_of(self._pool.workers)
            self._pool.fill(zygote, expected, is_held=zygote is self.current)

    # -- steps ---------------------------------------------------------------------------------

    @property
    def _is_busy(self) -> bool:
        return self.coming is not None or self._is_taking_over

    @property
    def _why_no_cancel(self) -> str:
        is_stopping = self._exit.is_stopping
        return refusals.of_cancel(self.current, self.coming, is_stopping=is_stopping)

    def _tell_slow(self) -> None:
        coming = None if self._why_no_cancel else self.coming
        if coming is not None and time.monotonic() - coming.began >= _SLOW:  # else it is another
            what = f"the new generation is not ready after {_SLOW:g} s"
            fields = coming.at_work() | {"hint": "`loadonce reload --cancel` gives it up"}
            log_fields(logging.WARNING, what, fields)

    def _why_no_rollback(self) -> str:
        if self._exit.is_stopping:
            return refusals.STOPPING
        if self.current is None:
            return refusals.STARTING
        if self._is_busy:
            return refusals.BUSY if self._why_no_cancel else refusals.CANCELLABLE
        if not self._options.keeps_generation:
            return refusals.BY_OPTION
        return refusals.OWNED if self.current.keeper else self._why_none_kept

    def _all(self) -> Iterator[ZygoteProcess]:
        known = (self.current, self.coming, self.former, *self._ending)
        return (zygote for zygote in known if zygote is not None)

    def _fork_zygote(self) -> None:
        gc.freeze()  # else the zygote's collections would copy it all
        expected = expected_of(self._pool.workers)
        pid, channel = fork_zygote(self._context, self._close, expected)
        zygote = self.coming = ZygoteProcess(pid, channel, time.monotonic())
        # Its end is told by SIGCHLD.
        self._watch.listen(channel, lambda message: self._hear(zygote, message), _nothing)

    def _close(self) -> None:
        """In a zygote: this is not its business."""
        self._watch.forget()
        self._pool.close()
        for zygote in self._all():
            zygote.channel.close()
        self._forget()

    def _begin(self, asked: list[Tell]) -> None:
        self._asked, self._next = asked, None
        self._teller.reloading()
        if self.former is not None and self._room.is_scarce(self.current, self._pool.workers):
            log_fields(logging.INFO, "memory is scarce, the former generation is not kept", {})
            self._drop_former()
            self._why_none_kept = refusals.SCARCE
        self.start()

    def _go_on(self) -> None:
        if self._next is not None:
            self._begin(self._next)

    def _hear(self, zygote: ZygoteProcess, message: Message) -> None:
        if message["what"] == "failed":
            zygote.failure = Failure.of(message)
        elif message["what"] == "loading":
            zygote.loading = ", ".join(message["models"])
        elif message["what"] == "room":
            serves = self.current is not None and not self.current.is_given_up
            self._room.ask(zygote, message, self._all(), self._pool.workers, serves=serves)
            if self._room.is_wanted:
                self._give_up()
            self._give_room()
        else:
            zygote.is_loaded = True
            zygote.locks, zygote.keeper = message["locks"], message["keeper"]
            fields = {"models": message["inherited"], "seconds": message["seconds"]}
            self._teller.step("models loaded once for all workers", fields)
            self.fill()

    def _give_up(self) -> None:
        """Drain and end all but the coming generation: clients wait until that serves."""
        assert self.current is not None
        self._drop_former()
        self._why_none_kept = refusals.SCARCE
        self.current.is_given_up, self.current.is_loaded = True, False
        for worker in self._pool.workers:
            self._pool.let_leave(worker)
        self._watch.hang_up(self.current.channel)

    def _give_room(self) -> None:
        """Let the coming generation load once nobody else holds memory."""
        others = [each for each in self._all() if each.holds_memory and each is not self.coming]
        leaving = [each for each in self._pool.workers if each.zygote is not self.coming]
        if self._room.is_wanted and not (others or leaving):
            self._room.give()

    def _keep(self, old: ZygoteProcess) -> None:
        """For a rollback; not what holds memory elsewhere, perhaps that of a device."""
        if not old.is_alive:  # replaced by the same
            self._let_go(old)
        elif self._options.keeps_generation and not old.keeper:
            self._drop_former()
            self.former = old
        else:
            self._drop_former()
            self._let_go(old)

    def _drop_former(self) -> None:
        former, self.former = self.former, None
        if former is not None:
            self._let_go(former)

    def _let_go(self, zygote: ZygoteProcess) -> None:
        """Let it end; whoever holds it no more."""
        if zygote.holds_memory and zygote not in self._ending:
            self._ending.append(zygote)
        self._watch.hang_up(zygote.channel)

    def _lose(self, zygote: ZygoteProcess, status: int) -> None:
        if zygote is self.coming:
            self.fail(status, "the loading process died")
        elif zygote is self.former:
            self.former, self._why_none_kept = None, refusals.LOST
            self._watch.hang_up(zygote.channel)
            if not self._exit.is_stopping:  # else it was asked to end
                tell_death("the former generation is not kept any more", status)
        elif zygote is self.current and not (zygote.is_given_up or self._exit.is_stopping):
            tell_death("the loading process died, the workers serve on", status)
            self._start_again()

    def _tell_failed(self, failure: Failure, status: int) -> None:
        assert self.current is not None
        serves = not self.current.is_given_up
        self._teller.reload_failed(status, failure.public, serves=serves)
        self._tell({"what": "failed", "reason": failure.reason})
        self._asked = []
        if not (serves and self.current.is_alive):
            self._start_again()
        self._go_on()

    def _start_again(self) -> None:
        delay = self._crashes.delay_after(time.monotonic())
        self._watch.after(delay, self._replace)

    def _replace(self) -> None:
        """Unless a reload has done it meanwhile."""
        current = self.current
        if current is not None and (current.is_given_up or not current.is_alive):
            self.start()

    def _tell(self, message: Message) -> None:
        for tell in self._asked:
            tell(message)


def _nothing() -> None:
    """Another event tells."""


def _ignore(_message: Message) -> None:
    """The log tells."""
