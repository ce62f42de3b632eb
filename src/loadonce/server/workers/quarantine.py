"""Which versions of models may not serve any more, because they crash the processes that serve
them."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from loadonce.lifecycle.reporting import Report
from loadonce.observe.events import log_fields
from loadonce.system.crashes import TOO_MANY, WINDOW

from .child_processes import WorkerProcess


@dataclass(frozen=True, slots=True)
class Suspect:
    """A version of a model that was in a call when its worker crashed.

    Attributes:
        model: its name, as `/readyz` shows it.
        version: as clients see it.
        sha256: the digest of its artifact.
    """

    model: str
    version: str
    sha256: str


class Quarantine:
    """Judges by the crashes of the last minute. All times are given: it has no clock."""

    def __init__(self) -> None:
        self._crashes: deque[tuple[float, Sequence[Suspect]]] = deque()
        self._kept: list[Suspect] = []

    @property
    def kept(self) -> list[dict[str, str]]:
        """Who is in it, for messages."""
        return [asdict(each) for each in self._kept]

    def judge(self, now: float, suspects: Sequence[Suspect]) -> Suspect | None:
        """Note a crash; whoever is in quarantine from now on for it, which is logged.

        That is the one that was in a call at the most crashes, five or more; of several the one
        whose call was the latest to begin, most often: a call that crashes seldom takes long.

        Args:
            now: when it was.
            suspects: who was in a call, the latest call first.
        """
        self._crashes.append((now, suspects))
        while now - self._crashes[0][0] >= WINDOW:
            self._crashes.popleft()
        counts = Counter(each for _when, several in self._crashes for each in several)
        latest = Counter(several[0] for _when, several in self._crashes if several)
        culprit = max(counts, key=lambda each: (counts[each], latest[each]), default=None)
        if culprit is None or counts[culprit] < TOO_MANY:
            return None
        self._crashes.clear()
        self._kept.append(culprit)
        log_fields(logging.ERROR, "model quarantined: it crashes its workers", asdict(culprit))
        return culprit

    def hear(self, model: str, sha256: str) -> bool:
        """A version was found to crash the process of its own, which whoever starts that has
        logged; whether that is news."""
        if sha256 in self.digests_of(model):
            return False
        self._kept.append(Suspect(model, sha256[:12], sha256))
        return True

    def digests_of(self, model: str) -> set[str]:
        """The versions of this model that are in it."""
        return {each.sha256 for each in self._kept if each.model == model}


def suspects_of(worker: WorkerProcess) -> list[Suspect]:
    """Which versions a worker that has ended was calling; its row has not been cleared yet."""
    text = worker.row.page.read()
    report = Report.from_json(text) if text else None
    if report is None or report.pid != worker.pid:
        return []  # it has not served yet
    found = []
    for number in worker.row.in_call:
        name = worker.models[number - 1]
        status = report.models.get(name)
        if status is not None and status.sha256:  # a resource has no versions
            found.append(Suspect(name, status.version, status.sha256))
    return found
