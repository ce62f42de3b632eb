"""Callers that were answered together, and are back in a moment to ask again.

The first one back would find the model idle and run alone, and the others wait for it: from then on
they take turns, a small batch and a large one, where one of all would take no longer. So a batch
waits for those just answered, for a part of the time that this saves, as long as they do come.
"""

from __future__ import annotations

from collections.abc import Hashable

from .batching import patience
from .jobs import Job

_IN_VAIN = 4  # waits after which callers are taken not to come back
_NOT_AGAIN = 64  # batches before that is tried again


class Returning:
    """For how long the batch that gathers should wait for those that the last one answered.

    Belongs to the event loop's thread. Times are on the loop's clock.

    Args:
        max_batch_size: what costs more together runs apart anyway; 0 where several threads run
            batches, which need not wait for each other.
    """

    def __init__(self, max_batch_size: float) -> None:
        self._max_batch_size = max_batch_size
        self._key: Hashable = None
        self._before = 0
        self._expected = 0
        self._until = 0.0
        self._in_vain = 0
        self._left_out = 0

    def answered(self, job: Job, waiting: Job | None, now: float) -> None:
        """The callers of `job` have their results; those of `waiting` gathered meanwhile."""
        self._key = None
        if self._left_out:
            self._left_out -= 1
            return
        size = job.size if waiting is None else waiting.size + job.size
        seconds = _patience(job, 0.0 if waiting is None else waiting.size)
        if seconds and size <= self._max_batch_size:
            self._key = job.key
            self._before = 0 if waiting is None else waiting.count
            self._expected = self._before + job.count
            self._until = now + seconds

    def are_back(self, job: Job) -> bool:
        """Whether everybody is in this batch for whom it may have waited."""
        return job.key == self._key and job.count >= self._expected

    def seconds_until_due(self, job: Job, now: float) -> float:
        """How long this batch should wait yet."""
        if job.key != self._key or job.count >= self._expected:
            return 0.0
        return max(0.0, self._until - now)

    def begins(self, job: Job) -> None:
        """This batch runs now: have they come?"""
        if job.key is None or job.key != self._key:
            return
        self._key = None
        came = job.count - self._before
        if 2 * came >= self._expected - self._before:
            self._in_vain = max(0, self._in_vain - 1)
            return
        self._in_vain += 1
        if self._in_vain >= _IN_VAIN:
            self._in_vain = 0
            self._left_out = _NOT_AGAIN


def _patience(answered: Job, waiting: float) -> float:
    """For a batch of this size that waits. Where none does, the first one back would run alone."""
    if not waiting and answered.count <= 1:
        return 0.0
    profile, size = answered.profile, answered.size
    last, each = profile.gauge(size).wall, size / answered.count
    first, rest = (waiting, size) if waiting else (each, size - each)
    apart = [profile.gauge(part).wall or last for part in (first, rest)]
    return patience(sum(apart), profile.gauge(waiting + size).wall or max(apart))
