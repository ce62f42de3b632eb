"""Where a call runs: on the event loop if it is certain to be short, in a thread otherwise.

Pure decisions on measured costs; no clock is read here. A hop to a thread and back costs some 150
microseconds, more when the interpreter lock is contended, so a call that takes less is cheaper on
the loop, and everyone who waits for the loop waits less.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

from .batching import bucket
from .passing import as_key

Placement = Literal["auto", "inline", "thread"]

SHORT = 200e-6  # seconds: calls that never take longer may run on the loop
# Seconds in a thread that had to wait and finds its caches cold: such calls are tried on the loop.
PERHAPS = 800e-6
LONG = 400e-6  # a mean above this leaves the loop; between the two everything stays where it is
OVERRUN = 1e-3  # one call above this leaves at once
TRIALS = 8  # how many calls are measured in a thread first
MOST_TRIALS = 4096  # after how many overruns so ever
IDLE = 50e-6  # seconds in which nobody computed: the call waited for something
TRIED = 32  # calls that are measured in full where the thread did not show them to be short
WATCHED = 512  # calls that are measured in full after an overrun that nothing explains
FORGIVEN = 16  # times its trials a call must have done well for its overruns to be forgotten
TURN = 15e-6  # seconds that a call costs which waits for the end of the loop's turn
HOP = 150e-6  # seconds that a thread costs a batch
ALONE = 4  # turns with one call after which calls gather no more
# Batches that were no cheaper, and are not made up for, after which calls gather no more.
IN_VAIN = 8
NOT_AGAIN = 4096  # calls until gathering that did not pay is tried again

_SMOOTHING = 0.1  # of the moving means
_MOST_PROFILES = 128


def is_short(samples: Iterable[tuple[float, float]], limit: float = SHORT) -> bool:
    """Whether calls that were so seen in a thread take at most `limit` and do not wait.

    Args:
        samples: for each call the seconds its thread computed, and the seconds in which it waited
            of its own accord while no thread of the process computed. A call that waits for a
            file, a lock or a network shows the latter every time; one that waited for the
            interpreter lock only sometimes. One of them may have been longer: processors are
            shared, and caches cold.
    """
    seen = list(samples)
    if len(seen) < TRIALS or min(idle for _busy, idle in seen) > IDLE:
        return False
    *_others, last_but_one, longest = sorted(busy for busy, _idle in seen)
    return last_but_one <= limit and longest <= OVERRUN


def must_leave(last: float, mean: float, count: int) -> bool:
    """Whether calls of which the last took so many seconds on the loop, and `count` of them so many
    on average, must leave it. The first ones find their caches cold."""
    return last > OVERRUN or (mean > LONG and count >= TRIALS)


def trials_after_leaving(trials: int, done_well: int) -> int:
    """How many calls are measured in threads before the next try: twice as many as last time,
    unless the calls did well on the loop for long."""
    return TRIALS if done_well >= FORGIVEN * trials else min(2 * trials, MOST_TRIALS)


def gathering_pays(single: float, together: float, count: int) -> bool:
    """Whether `count` calls that may run on the loop, in `single` seconds each, are cheaper
    `together`, with the waiting for the end of the loop's turn."""
    return count * (single - TURN) > together


class Gauge:
    """What calls of one function have cost, for batches of about one size.

    A call that runs on the loop at once is timed by the wall clock alone, for more would cost more
    than some calls. Where that shows an overrun, the calls go back to a thread; when they return,
    the next `WATCHED` ones are measured in full, which tells a call that was long or waited from
    one whose processor went to another process meanwhile. So are the first `TRIED` ones of calls
    that a thread showed to be perhaps short: on the loop they may be ten times as quick.

    Attributes:
        is_inline: whether the next one runs on the loop.
        runs_at_once: whether it needs no measuring there.
        mean: seconds of computing, a moving mean; 0 while unknown.
        wall: seconds until a thread had the result, a moving mean; 0 while unknown.
    """

    __slots__ = (
        *("_done_well", "_is_fixed", "_measured", "_recent", "_trials", "_watched"),
        *("is_inline", "mean", "runs_at_once", "wall"),
    )

    def __init__(self, *, is_inline: bool = False, is_fixed: bool = False) -> None:
        self.is_inline = is_inline
        self.runs_at_once = is_inline
        self.mean = 0.0
        self.wall = 0.0
        self._is_fixed = is_fixed
        self._recent: deque[tuple[float, float]] = deque(maxlen=TRIALS)
        self._trials = TRIALS
        self._measured = 0
        self._done_well = 0
        self._watched = 0

    def __repr__(self) -> str:
        return f"<Gauge {self.place} {self.mean * 1e6:.0f} us>"

    @property
    def is_short(self) -> bool:
        """Whether calls run on the loop, and are known to take less than they might."""
        return self.is_inline and 0.0 < self.mean <= SHORT

    @property
    def place(self) -> str:
        """ "inline" or "thread"."""
        return "inline" if self.is_inline else "thread"

    def follow(self, smaller: Gauge) -> None:
        """Let batches of this size run on the loop too, if those of half the size do and are short:
        twice the items take at most twice as long. The first ones will tell."""
        if not (self.is_inline or self._watched or self._is_fixed) and smaller.is_short:
            self.is_inline = True

    def ran_in_thread(self, wall: float, busy: float, idle: float) -> None:
        """Note a call: seconds until it was done, that it computed, that it waited by itself."""
        self.wall = _moved(self.wall, wall)
        self.mean = _moved(self.mean, busy + idle)
        self._recent.append((busy, idle))
        self._measured += 1
        if self._is_fixed or self.is_inline or self._measured < self._trials:
            return
        if busy <= PERHAPS and is_short(self._recent, PERHAPS):
            self.is_inline = True
            if not is_short(self._recent):
                self._watched = max(self._watched, TRIED)
            self.runs_at_once = not self._watched
            self._done_well = 0
            self.mean = 0.0 if self._watched else self.mean

    def ran_at_once(self, seconds: float) -> None:
        """Note a call on the loop of which only the wall clock is known."""
        self.mean += _SMOOTHING * (seconds - self.mean)
        self._done_well += 1
        if (
            seconds > SHORT
            and not self._is_fixed
            and must_leave(seconds, self.mean, self._done_well)
        ):
            self._leave(self._trials)

    def ran_inline(self, busy: float, idle: float) -> None:
        """Note a call on the loop that was measured in full."""
        self.mean = _moved(self.mean, busy + idle)
        self._done_well += 1
        self._watched = max(0, self._watched - 1)
        self.runs_at_once = not self._watched
        if not self._is_fixed and must_leave(busy + idle, self.mean, self._done_well):
            self._leave(trials_after_leaving(self._trials, self._done_well))

    def _leave(self, trials: int) -> None:
        self.is_inline = self.runs_at_once = False
        self._trials = trials
        self._watched = WATCHED
        self._measured = 0


class Profile:
    """What is known of one function that a model's calls name.

    Attributes:
        name: for people, and for taking turns.
        is_async: whether it returns an awaitable; those run on the loop, as tasks.
        is_measured: whether what its calls cost decides where they run.
        single: the gauge of lonely calls.
        gathers: whether calls that come in one turn of the loop wait for its end.
        gathers_again: the count of calls before which gathering is not tried again.
        asked_by: the task whose call of this function ran at once in this turn of the loop.
    """

    __slots__ = (
        *("_alone", "_gauges", "_in_vain", "_make", "asked_by", "gathers", "gathers_again"),
        *("is_async", "is_measured", "name", "single"),
    )

    def __init__(self, name: str, placement: Placement, *, is_async: bool) -> None:
        is_fixed = placement != "auto" or is_async
        is_inline = placement == "inline" and not is_async
        self.name = name
        self.is_async = is_async
        self.is_measured = not is_fixed
        self._alone = self._in_vain = 0
        self.gathers = False
        self.gathers_again = 0
        self.asked_by: object = None
        self._make: Callable[[], Gauge] = partial(Gauge, is_inline=is_inline, is_fixed=is_fixed)
        self._gauges = [self._make()]
        self.single = self._gauges[0]

    def __repr__(self) -> str:
        return f"<Profile {self.name} {self._gauges}>"

    def gauge(self, size: float) -> Gauge:
        """The gauge of batches of about this size."""
        number = bucket(size)
        gauges = self._gauges
        while len(gauges) <= number:
            gauges.append(self._make())
        if number and self.is_measured:
            gauges[number].follow(gauges[number - 1])
        return gauges[number]

    def met(self, task: object, calls: int) -> bool:
        """Whether another task called this function in this turn of the loop: then both had better
        wait for its end, together. `calls` is the model's count of calls."""
        if self.asked_by is task or calls < self.gathers_again:
            return False
        self.gathers = True
        return True

    def end_turn(self) -> None:
        """The loop's turn is over."""
        self.asked_by = None

    def gathered(self, count: int, size: float, seconds: float, calls: int) -> None:
        """So many calls of this size have run together; were they few, or no cheaper, the next ones
        will not wait for the end of their turn."""
        self._alone = self._alone + 1 if count == 1 else 0
        if self._alone >= ALONE:
            self.gathers = False
            self._alone = 0
        if count > 1 and (single := self.gauge(size / count).mean):
            pays = gathering_pays(single, seconds, count)
            self._in_vain = max(0, self._in_vain - 1) if pays else self._in_vain + 1
        if self._in_vain >= IN_VAIN:
            self.gathers = False
            self._in_vain = 0
            self.gathers_again = calls + NOT_AGAIN

    @property
    def places(self) -> dict[int, str]:
        """Where calls run, by the largest size of those that share a measurement."""
        return {
            2**number: "async" if self.is_async else gauge.place
            for number, gauge in enumerate(self._gauges)
            if gauge.mean
        }

    @property
    def curve(self) -> list[float]:
        """Seconds until a batch's result, by bucket; 0 where unknown."""
        return [gauge.wall or gauge.mean for gauge in self._gauges]


class Profiles:
    """The profiles of a model's functions: the newest ones.

    Some functions are made for each request, and hold what that was sent: only those of modules
    are kept alive.

    Attributes:
        known: by function. Look up with the function itself; a key may be a stand-in for it.
    """

    def __init__(self, placement: Placement) -> None:
        self.known: dict[Any, Profile] = {}
        self._placement: Placement = placement

    def of(self, function: Callable[..., object]) -> Profile:
        """The function's profile; a new one if it has none, or cannot be hashed."""
        try:
            profile = self.known.get(function)
        except TypeError:
            return self._made(function)
        if profile is None:
            profile = self._made(function)
            if not profile.name.endswith("<lambda>"):
                self._make_room()
                self.known[as_key(function, self._gone)] = profile
        return profile

    def placements(self) -> dict[str, dict[int, str]]:
        """Where calls run: by the function's name and the largest size of batches."""
        found: dict[str, dict[int, str]] = {}
        for profile in list(self.known.values()):  # a function may go meanwhile
            found.setdefault(profile.name, {}).update(profile.places)
        return found

    def forget(self) -> None:
        """Know none any more."""
        self.known.clear()

    def _made(self, function: Callable[..., object]) -> Profile:
        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004  # of an object, not whether it has one
        )
        name = str(getattr(function, "__qualname__", type(function).__name__))
        return Profile(name, self._placement, is_async=is_async)

    def _make_room(self) -> None:
        if len(self.known) >= _MOST_PROFILES:
            # Not of items: these are new objects, for which the collector may run, which lets
            # functions go while the dictionary is walked.
            found = list(self.known)
            expendable = (key for key in found if not self._is_inline(key))
            self._gone(next(expendable, next(iter(found), None)))

    def _is_inline(self, key: object) -> bool:
        profile = self.known.get(key)
        return profile is not None and profile.single.is_inline

    def _gone(self, key: object) -> None:
        self.known.pop(key, None)


def _moved(mean: float, value: float) -> float:
    return mean + _SMOOTHING * (value - mean) if mean else value
