"""The processes of a server, as its supervisor knows them."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from dataclasses import dataclass, field
from typing import Any, Self

from loadonce.observe.events import log_fields
from loadonce.server.board.board import Row
from loadonce.system.channel import Channel, Message
from loadonce.system.crashes import cause_of


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a generation does not serve.

    Attributes:
        reason: for the operator, the whole story.
        public: for everybody: what kind of failure of which models, no text of foreign code.
    """

    reason: str
    public: str

    @classmethod
    def of(cls, message: Message) -> Self:
        """As a process of ours tells it."""
        return cls(message["reason"], message["public"])


@dataclass(eq=False, slots=True)
class ZygoteProcess:
    """The process that has the models of one generation."""

    pid: int
    channel: Channel
    began: float
    locks: dict[str, Any] = field(default_factory=dict)  # their stamps when it loaded
    loading: str = ""  # the names of the models that are being loaded
    keeper: int = 0  # which has its models that live in processes of their own
    is_loaded: bool = False
    is_alive: bool = True
    has_served: bool = False  # one of its workers has been ready
    is_stuck: bool = False  # killed, for it forks no worker
    is_given_up: bool = False  # it has ended for another one's memory
    failure: Failure | None = None  # why it does not serve, if it has told

    def start_worker(self, worker: WorkerProcess, theirs: Channel, spec: Message) -> None:
        """Have a worker; it tells its process id by itself.

        Args:
            worker: as the supervisor will know it.
            theirs: the other end of its channel.
            spec: what it is given.
        """
        self.channel.send(spec, theirs.fileno())

    def at_work(self) -> dict[str, object]:
        """What it was doing, to be told in a log if it dies."""
        return {"loading": self.loading} if self.loading else {}

    @property
    def can_start(self) -> bool:
        """Whether it can start workers."""
        return self.is_loaded and self.is_alive

    @property
    def holds_memory(self) -> bool:
        """Whether it, or the processes that have some of its models, have not ended."""
        return self.is_alive or bool(self.keeper)

    def kill(self) -> None:
        """End it at once, if it has not ended, and what has models for it."""
        if self.is_alive:
            kill(self.pid, signal.SIGKILL)
        kill(self.keeper, signal.SIGKILL)

    def loses_keeper(self, pid: int, status: int) -> bool:
        """Whether it was its keeper that ended, and not because all others of it have."""
        if pid != self.keeper:
            return False
        self.keeper = 0
        return status != 0


@dataclass(eq=False, slots=True)
class WorkerProcess:
    """A process that serves, or will."""

    number: int
    zygote: ZygoteProcess
    row: Row
    channel: Channel
    asked_at: float
    pid: int = 0  # not known yet
    ready_at: float = 0.0
    request_limit: int = 0  # after which it is replaced
    is_retiring: bool = False  # serves until its successor is ready
    is_leaving: bool = False
    is_stuck: bool = False  # to be killed
    base_bytes: int = 0  # of memory when it was ready, if there is a limit
    models: list[str] = field(default_factory=list)  # their names, by number
    late: list[str] = field(default_factory=list)  # of those that load late, what it serves by now

    def in_call(self) -> dict[str, object]:
        """The names of the models it is calling, the latest call first, to be told in a log; none
        if it is calling none."""
        names = [self.models[number - 1] for number in self.row.in_call]
        return {"in_call": ", ".join(names)} if names else {}


def kill(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, unless it is not known yet."""
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def tell_death(what: str, status: int, **fields: object) -> None:
    """Log the end of a process that nobody asked for."""
    log_fields(logging.ERROR, what, fields | {"cause": cause_of(status)})
