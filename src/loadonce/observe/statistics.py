"""Counters of one model's calls, and frozen snapshots of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

COUNTERS = (
    *("calls", "errors", "rejected", "cancelled", "expired"),
    *("queue_seconds", "compute_seconds"),
)
_DECAY = 0.9  # of the moving mean of a job's duration


@dataclass(frozen=True, slots=True)
class StatisticsSnapshot:
    """A model's calls since it was declared; times in seconds, summed over calls.

    `waiting` and `in_flight` are of this moment: items in the queue, and running. `batch_sizes`
    maps the number of items in a batch to how often it ran, `placements` the name of a function to
    where batches run ("inline", "thread", "async"), by their largest size: 1, 2, 4, 8, ...
    """

    calls: int
    errors: int
    rejected: int
    cancelled: int
    expired: int
    waiting: int
    in_flight: int
    queue_seconds: float
    compute_seconds: float
    batch_sizes: Mapping[int, int]
    placements: Mapping[str, Mapping[int, str]]

    def counters(self) -> StatisticsSnapshot:
        """What was counted, without what is of this moment."""
        return replace(self, waiting=0, in_flight=0, placements={})

    def plus(self, other: StatisticsSnapshot) -> StatisticsSnapshot:
        """The counters of both together."""
        sizes = dict(self.batch_sizes)
        for size, count in other.batch_sizes.items():
            sizes[size] = sizes.get(size, 0) + count
        return StatisticsSnapshot(
            calls=self.calls + other.calls,
            errors=self.errors + other.errors,
            rejected=self.rejected + other.rejected,
            cancelled=self.cancelled + other.cancelled,
            expired=self.expired + other.expired,
            waiting=0,
            in_flight=0,
            queue_seconds=self.queue_seconds + other.queue_seconds,
            compute_seconds=self.compute_seconds + other.compute_seconds,
            batch_sizes=sizes,
            placements={},
        )


@dataclass(slots=True)
class CallStatistics:
    """What the engine counts; written on the event loop only."""

    calls: int = 0
    errors: int = 0
    rejected: int = 0
    cancelled: int = 0
    expired: int = 0
    waiting: int = 0
    in_flight: int = 0
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0
    batch_sizes: dict[int, int] = field(default_factory=dict)
    single_batches: int = 0  # of one item, run at once on the loop
    mean_seconds: float = 0.0

    def started(self, count: int, waited: float, *, is_batch: bool) -> None:
        """`count` calls began to run after having waited so many seconds together."""
        self.calls += count
        self.in_flight += count
        self.queue_seconds += waited
        if is_batch:
            self.batch_sizes[count] = self.batch_sizes.get(count, 0) + 1

    def finished(self, count: int, seconds: float, *, errors: int) -> None:
        """A job of `count` calls, `errors` of them failed, ended after `seconds`."""
        self.in_flight -= count
        self.compute_seconds += seconds
        self.errors += errors
        known = self.mean_seconds or seconds
        self.mean_seconds = _DECAY * known + (1 - _DECAY) * seconds

    def add(self, counted: Mapping[str, Any]) -> None:
        """Another process has counted so much for this one: `COUNTERS`, and `batch_sizes`."""
        for name in COUNTERS:
            setattr(self, name, getattr(self, name) + counted[name])
        for size, count in counted["batch_sizes"].items():
            self.batch_sizes[size] = self.batch_sizes.get(size, 0) + count

    def queue_estimate(self, waiting: int, threads: int) -> float:
        """Seconds until `waiting` calls have had their turn: the queue times the mean job."""
        return max(1.0, waiting * self.mean_seconds / threads)

    def snapshot(self, placements: Mapping[str, Mapping[int, str]]) -> StatisticsSnapshot:
        """A frozen copy, with where calls run now."""
        sizes = dict(self.batch_sizes)
        if self.single_batches:
            sizes[1] = sizes.get(1, 0) + self.single_batches
        return StatisticsSnapshot(
            calls=self.calls,
            errors=self.errors,
            rejected=self.rejected,
            cancelled=self.cancelled,
            expired=self.expired,
            waiting=self.waiting,
            in_flight=self.in_flight,
            queue_seconds=self.queue_seconds,
            compute_seconds=self.compute_seconds,
            batch_sizes=sizes,
            placements=placements,
        )
