"""Counters of one model's calls, and frozen snapshots of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_DECAY = 0.9  # of the moving mean of a job's duration


@dataclass(frozen=True, slots=True)
class StatisticsSnapshot:
    """A model's calls since it was declared; times in seconds, summed over calls.

    `batch_sizes` maps the size of a batch to how often it ran.
    """

    calls: int
    errors: int
    rejected: int
    cancelled: int
    expired: int
    in_flight: int
    queue_seconds: float
    compute_seconds: float
    batch_sizes: Mapping[int, int]


@dataclass(slots=True)
class CallStatistics:
    """What the engine counts; written on the event loop only."""

    calls: int = 0
    errors: int = 0
    rejected: int = 0
    cancelled: int = 0
    expired: int = 0
    in_flight: int = 0
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0
    batch_sizes: dict[int, int] = field(default_factory=dict)
    mean_seconds: float = 0.0

    def started(self, count: int, waited: Sequence[float], is_batch: bool) -> None:
        """`count` calls began to run after having waited so many seconds each."""
        self.calls += count
        self.in_flight += count
        self.queue_seconds += sum(waited)
        if is_batch:
            self.batch_sizes[count] = self.batch_sizes.get(count, 0) + 1

    def finished(self, count: int, seconds: float, *, is_error: bool) -> None:
        """A job of `count` calls ended after `seconds`."""
        self.in_flight -= count
        self.compute_seconds += seconds
        if is_error:
            self.errors += count
        known = self.mean_seconds or seconds
        self.mean_seconds = _DECAY * known + (1 - _DECAY) * seconds

    def queue_estimate(self, waiting: int, threads: int) -> float:
        """Seconds until `waiting` calls have had their turn: the queue times the mean job."""
        return max(1.0, waiting * self.mean_seconds / threads)

    def snapshot(self) -> StatisticsSnapshot:
        """A frozen copy."""
        return StatisticsSnapshot(
            calls=self.calls,
            errors=self.errors,
            rejected=self.rejected,
            cancelled=self.cancelled,
            expired=self.expired,
            in_flight=self.in_flight,
            queue_seconds=self.queue_seconds,
            compute_seconds=self.compute_seconds,
            batch_sizes=dict(self.batch_sizes),
        )
