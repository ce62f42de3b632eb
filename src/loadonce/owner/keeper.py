"""The keeper: forked before anything is loaded, it has one owner process for each model that is to
live in one, and starts another when that dies.

An owner starts when somebody knocks at its door. The keeper loads nothing and has one thread, so
that it can fork at any time; it ends when all are gone who might knock.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import math
import os
import select
import signal
import socket
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

from loadonce.errors import LoaderFailedError
from loadonce.observe.events import log_fields
from loadonce.observe.processes import take_name
from loadonce.system.crashes import Crashes, Culprits, cause_of, is_crash
from loadonce.system.linux import die_with, outlive

from .door import Door
from .heartbeat import Heartbeat
from .server import refuse

logger = logging.getLogger("loadonce")

EXIT_NOT_LOADED = 73  # of an owner that has told why it could not load; no program's own

KEEPER, OWNER = "loadonce-keeper", "loadonce-owner"  # the names the processes go by

_SILENCE = 8.0  # seconds without a sign of life after which an owner, or its keeper, is killed
_LOOK = 1.0  # seconds between two looks for them
_LAST_SECONDS = 10.0  # for owners to end in
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class OwnerProcess:
    """The process that has one model, as its keeper knows it.

    Attributes:
        model: the model's name.
        outside, inside: of its door.
        run: what the owner process does; returns its exit code.
        culprits: what it may not serve any more.
        heartbeat: of the owner.
        pid: of the owner; 0 while there is none.
        watched: a descriptor that tells its end.
        not_before: when the next one may start.
    """

    model: str
    outside: Door
    inside: Door
    run: Callable[[Door, Heartbeat], int]
    culprits: Culprits = field(default_factory=Culprits)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    pid: int = 0
    watched: int = -1
    began: float = 0.0
    not_before: float = 0.0
    crashes: Crashes = field(default_factory=Crashes)


@dataclass(slots=True)
class Keeper:
    """The keeper, as the process that has started it knows it.

    Attributes:
        pid: its process; 0 if it has ended already.
        lifeline: it lives as long as any process has this open.
        wait: waits for its end; None if it is no child of this process.
        heartbeat: of the keeper; silent for one that is not forked from this process.
    """

    pid: int
    lifeline: socket.socket
    wait: Callable[[], object] | None
    heartbeat: Heartbeat = field(default_factory=Heartbeat)

    @property
    def is_alive(self) -> bool:
        """Whether it has neither ended nor been let go."""
        return self.lifeline.fileno() >= 0 and not _is_hung_up(self.lifeline)

    def end_if_stuck(self) -> None:
        """Kill it if it gives no sign of life; to be called, from any process that was forked from
        this one, while somebody waits for an owner."""
        silence = self.heartbeat.silence
        if silence > _SILENCE and self.is_alive:
            fields: dict[str, object] = {"pid": self.pid, "seconds": round(silence, 1)}
            log_fields(
                logging.ERROR, "the keeper of models' processes is stuck, killing it", fields
            )
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let it end, with its owners, unless other processes hold the lifeline; wait for it."""
        self.lifeline.close()
        if self.wait is not None:
            with contextlib.suppress(ChildProcessError):  # somebody waits for all children
                self.wait()


def fork_keeper(
    owners: Sequence[OwnerProcess], *, guardian: int | None, prepare: Callable[[], None]
) -> Keeper:
    """Fork a keeper.

    Args:
        owners: one for each model.
        guardian: a process that adopts orphans, to which the keeper belongs then, so that it
            outlives the present one; None: it is the present process's child.
        prepare: called in each owner before anything else.
    """
    heartbeat = Heartbeat()
    lifeline, theirs = socket.socketpair()
    parent = os.getpid()
    with warnings.catch_warnings():
        # Python 3.12 warns of other threads, of which a script or a test may have some: the child
        # starts no library, takes no lock of theirs, and is forked before anything is loaded.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        if guardian is not None:
            between = os.getpid()
            if os.fork() != 0:
                os._exit(0)
            outlive(between)
            theirs.sendall(f"{os.getpid()}".encode())
        lifeline.close()
        _become(lambda: keep(owners, theirs, guardian or parent, prepare, heartbeat))
    theirs.close()
    if guardian is not None:
        os.waitpid(pid, 0)
        pid = int(lifeline.recv(32) or 0)
    for owner in owners:
        owner.inside.close()
    wait = partial(os.waitpid, pid, 0) if guardian is None else None
    return Keeper(pid, lifeline, wait, heartbeat)


def _become(run: Callable[[], int]) -> NoReturn:
    """End this process with what `run` returns, whatever happens, without what is the parent's."""
    code = 1
    try:
        code = run()
    except BaseException:
        logger.critical("a process for models failed", exc_info=True)
    finally:
        with contextlib.suppress(Exception):  # a disk may be full
            for handler in logging.getLogger().handlers:
                handler.flush()
        os._exit(code)


def keep(
    owners: Sequence[OwnerProcess],
    lifeline: socket.socket,
    parent: int,
    prepare: Callable[[], None],
    heartbeat: Heartbeat,
) -> int:
    """Be the keeper, in a process of its own; returns its exit code.

    Args:
        owners, prepare: as for `fork_keeper`.
        lifeline: its other end tells that nobody needs the owners any more.
        parent: with which it ends.
        heartbeat: the keeper's own.
    """
    take_name(KEEPER)
    signal.set_wakeup_fd(-1)
    os.setpgid(0, 0)  # what a terminal sends is for the server
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    die_with(parent)
    for owner in owners:
        owner.outside.close()
    _stop_listening()
    gc.freeze()
    _Keeping(owners, lifeline, prepare, heartbeat).run()
    return 0


class _Keeping:
    def __init__(
        self,
        owners: Sequence[OwnerProcess],
        lifeline: socket.socket,
        prepare: Callable[[], None],
        heartbeat: Heartbeat,
    ) -> None:
        self._owners = owners
        self._lifeline = lifeline
        self._prepare = prepare
        self._heartbeat = heartbeat

    def run(self) -> None:
        self._heartbeat.beat()
        while not self._turn():
            self._heartbeat.beat()
        self._end()

    def _turn(self) -> bool:
        """Wait for what happens next, and see to it; whether that was the end."""
        now = time.monotonic()
        poll = select.poll()
        poll.register(self._lifeline, select.POLLIN)
        for owner in self._owners:
            if owner.pid:
                poll.register(owner.watched, select.POLLIN)
            elif owner.not_before <= now:
                poll.register(owner.inside, select.POLLIN)
        ready = {descriptor for descriptor, _event in poll.poll(self._patience(now) * 1000)}
        pause = time.monotonic() - now
        was_stopped = pause > max(2 * _LOOK, _SILENCE / 2)  # as the owners were, perhaps
        if self._lifeline.fileno() in ready:
            return True
        for owner in self._owners:
            if owner.pid and owner.watched in ready:
                self._lose(owner)
            elif owner.pid and not was_stopped:
                self._look_at(owner)
            elif owner.inside.fileno() in ready:
                self._answer(owner)
        return False

    def _patience(self, now: float) -> float:
        waits = [max(0.0, owner.not_before - now) for owner in self._owners if not owner.pid]
        return min([_LOOK, *(wait for wait in waits if wait)])

    def _answer(self, owner: OwnerProcess) -> None:
        if _is_abandoned(owner):  # the lifeline's end comes next; an owner would load for nobody
            owner.not_before = math.inf
        else:
            self._start(owner)

    def _start(self, owner: OwnerProcess) -> None:
        owner.heartbeat.clear()
        owner.began = time.monotonic()
        keeper = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # the system has no process left; who knocks waits
            fields: dict[str, object] = {"model": owner.model, "reason": str(error)}
            log_fields(logging.ERROR, "the process of a model cannot be forked", fields)
            owner.not_before = owner.began + owner.crashes.delay_after(owner.began)
            return
        if pid == 0:
            self._lifeline.close()
            _become(lambda: self._run_owner(owner, keeper))
        owner.pid, owner.watched = pid, os.pidfd_open(pid)

    def _run_owner(self, owner: OwnerProcess, keeper: int) -> int:
        die_with(keeper)
        take_name(OWNER)
        for other in self._owners:
            if other is not owner:
                other.inside.close()
                if other.pid:
                    os.close(other.watched)
        gc.enable()
        self._prepare()
        return owner.run(owner.inside, owner.heartbeat)

    def _lose(self, owner: OwnerProcess) -> None:
        status = self._reap(owner)
        if _is_abandoned(owner):
            return  # it has noticed that, too
        if status == EXIT_NOT_LOADED:  # who has knocked since it told gets another
            return
        now = time.monotonic()
        cause = cause_of(status)
        served = now - owner.heartbeat.last if owner.heartbeat.last else 0.0
        if not owner.heartbeat.last:  # whoever waits is told, and decides whether to try again
            text = f"its process ended while it loaded: {cause}"
            refuse(owner.inside, owner.model, LoaderFailedError(owner.model, text))
        fields = {"model": owner.model, "cause": cause}
        log_fields(logging.ERROR, "the process of a model died", fields)
        if is_crash(status, now - owner.began if served else 0.0):
            owner.not_before = now + owner.crashes.delay_after(now)
            if status != -signal.SIGKILL and _is_banned(owner, now):
                owner.not_before = now  # the next one only tells of it

    def _look_at(self, owner: OwnerProcess) -> None:
        silence = owner.heartbeat.silence
        if silence > _SILENCE:
            fields = {"model": owner.model, "seconds": round(silence, 1)}
            log_fields(logging.ERROR, "the process of a model is stuck, killing it", fields)
            os.kill(owner.pid, signal.SIGKILL)
            self._lose(owner)

    def _end(self) -> None:
        """Nobody can knock any more, which the owners have noticed, too."""
        deadline = time.monotonic() + _LAST_SECONDS
        for owner in self._owners:
            if owner.pid:
                poll = select.poll()
                poll.register(owner.watched, select.POLLIN)
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    os.kill(owner.pid, signal.SIGKILL)
                self._reap(owner)

    def _reap(self, owner: OwnerProcess) -> int:
        _pid, encoded = os.waitpid(owner.pid, 0)
        os.close(owner.watched)
        owner.pid, owner.watched = 0, -1
        return os.waitstatus_to_exitcode(encoded)


def _is_banned(owner: OwnerProcess, now: float) -> bool:
    """Blame what the owner that has just crashed had; whether that was once too often."""
    digest = owner.heartbeat.digest
    if not (digest and owner.culprits.judge(now, digest)):
        return False
    fields = {"model": owner.model, "sha256": digest}
    log_fields(logging.ERROR, "model quarantined: it crashes its process", fields)
    return True


def _is_abandoned(owner: OwnerProcess) -> bool:
    """Whether nobody can knock at its door any more."""
    return _is_hung_up(owner.inside)


def _is_hung_up(end: Door | socket.socket) -> bool:
    poll = select.poll()
    poll.register(end, 0)
    return any(event & select.POLLHUP for _descriptor, event in poll.poll(0))


def _stop_listening() -> None:
    """Sockets that listen are the server's: kept open here, they would outlive it."""
    null = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as found:
            if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                os.dup2(null, descriptor)  # the number stays taken: an object here refers to it
    os.close(null)
