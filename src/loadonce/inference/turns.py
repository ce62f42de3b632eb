"""A queue in which the functions of a model take turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class _Waiting(Protocol):
    @property
    def lane(self) -> str: ...


J = TypeVar("J", bound=_Waiting)


class Turns(Generic[J]):
    """Jobs in lanes, a lane for each function: each lane's first job in turn, first come first
    served within a lane, so that many calls of one function do not hold up another's."""

    def __init__(self) -> None:
        self._lanes: dict[str, dict[J, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def add(self, job: J) -> None:
        """Put a job at the end of its lane."""
        self._lanes.setdefault(job.lane, {})[job] = None

    def remove(self, job: J) -> None:
        """Take out a job that is in the queue."""
        lane = self._lanes[job.lane]
        del lane[job]
        if not lane:
            del self._lanes[job.lane]

    def first(self, delay: Callable[[J], float]) -> tuple[J | None, float]:
        """The job whose turn it is, left in the queue; or None, and the seconds until one is due.

        Args:
            delay: seconds until a job is due.
        """
        soonest = 0.0
        for lane in self._lanes.values():
            job = next(iter(lane))
            seconds = delay(job)
            if not seconds:
                return job, 0.0
            soonest = min(soonest or seconds, seconds)
        return None, soonest

    def pass_on(self, job: J, *, is_done: bool) -> None:
        """This job's lane has had its turn; a job that is not done stays the first of its lane."""
        lane = self._lanes.pop(job.lane)
        if is_done:
            del lane[job]
        if lane:
            self._lanes[job.lane] = lane

    def clear(self) -> list[J]:
        """Take out every job."""
        jobs = [job for lane in self._lanes.values() for job in lane]
        self._lanes.clear()
        return jobs
