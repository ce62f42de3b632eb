"""Where calls run: decided from what they cost, on made-up costs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from loadonce.inference.placement import (
    ALONE,
    FORGIVEN,
    IDLE,
    IN_VAIN,
    LONG,
    MOST_TRIALS,
    NOT_AGAIN,
    OVERRUN,
    PERHAPS,
    SHORT,
    TRIALS,
    TRIED,
    WATCHED,
    Gauge,
    Profile,
    Profiles,
    gathering_pays,
    is_short,
    must_leave,
    trials_after_leaving,
)

FAST, US = (20e-6, 0.0), 1e-6


def one_call() -> None: ...


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([FAST] * TRIALS, True),
        ([FAST] * (TRIALS - 1), False),  # too few
        ([FAST] * (TRIALS - 1) + [(SHORT * 2, 0.0)], True),  # one was long
        ([FAST] * (TRIALS - 2) + [(SHORT * 2, 0.0)] * 2, False),
        ([FAST] * (TRIALS - 1) + [(OVERRUN * 1.01, 0.0)], False),
        ([(20e-6, 1e-3)] * TRIALS, False),  # waited each time
        ([(20e-6, 1e-3)] * (TRIALS - 1) + [FAST], True),  # waited for the lock, sometimes
        ([(20e-6, IDLE)] * TRIALS, True),
        ([], False),
    ],
)
def test_only_what_is_certainly_short_runs_on_the_loop(
    samples: list[tuple[float, float]], expected: bool
) -> None:
    assert is_short(samples) is expected


def test_one_overrun_or_a_long_mean_leaves_the_loop() -> None:
    assert must_leave(OVERRUN * 1.01, 20e-6, 1)
    assert must_leave(SHORT, LONG * 1.01, TRIALS)
    assert not must_leave(LONG * 2, LONG * 2, TRIALS - 1)  # the first ones find cold caches
    assert not must_leave(SHORT * 1.2, SHORT * 1.2, TRIALS)  # between the two nothing moves


def test_each_overrun_doubles_the_trials_until_they_are_forgiven() -> None:
    assert trials_after_leaving(8, 0) == 16
    assert trials_after_leaving(16, FORGIVEN * 16 - 1) == 32
    assert trials_after_leaving(MOST_TRIALS, 1) == MOST_TRIALS
    assert trials_after_leaving(MOST_TRIALS, FORGIVEN * MOST_TRIALS) == TRIALS


def test_gathering_pays_where_a_batch_is_cheaper_than_its_parts() -> None:
    assert gathering_pays(20 * US, 30 * US, 32)  # a pipeline of vector operations
    assert not gathering_pays(20 * US, 32 * 20 * US, 32)  # a forest: row by row
    assert not gathering_pays(5 * US, 6 * US, 64)  # cheaper than the waiting itself
    assert not gathering_pays(30 * US, 200 * US, 10)
    assert gathering_pays(30 * US, 140 * US, 10)


def run_in_thread(gauge: Gauge, calls: int, busy: float = 20e-6, idle: float = 0.0) -> None:
    for _ in range(calls):
        gauge.ran_in_thread(busy + idle, busy, idle)


def test_a_gauge_moves_to_the_loop_and_back_after_one_overrun() -> None:
    gauge = Gauge()
    run_in_thread(gauge, TRIALS - 1)
    assert gauge.place == "thread"
    run_in_thread(gauge, 1)
    assert (repr(gauge), gauge.runs_at_once) == ("<Gauge inline 20 us>", True)
    for _ in range(100):
        gauge.ran_at_once(SHORT * 1.2)  # slower than what may enter, not slow enough to leave
    assert gauge.place == "inline"
    gauge.ran_at_once(OVERRUN * 2)
    assert (gauge.place, gauge.runs_at_once) == ("thread", False)


def test_after_an_overrun_calls_on_the_loop_are_watched_for_its_cause() -> None:
    gauge = Gauge()
    run_in_thread(gauge, TRIALS)
    gauge.ran_at_once(OVERRUN * 2)
    run_in_thread(gauge, TRIALS)
    assert (gauge.place, gauge.runs_at_once) == ("inline", False)
    for _ in range(WATCHED - 1):
        gauge.ran_inline(20e-6, 0.0)  # whatever the wall clock says
    assert not gauge.runs_at_once
    gauge.ran_inline(20e-6, 0.0)
    assert gauge.runs_at_once


@pytest.mark.parametrize(("busy", "idle"), [(OVERRUN * 2, 0.0), (20e-6, OVERRUN * 2)])
def test_each_overrun_that_is_the_call_s_own_doubles_the_trials(busy: float, idle: float) -> None:
    gauge, trials = Gauge(), TRIALS
    run_in_thread(gauge, TRIALS)
    for _ in range(3):
        gauge.ran_inline(busy, idle)
        trials *= 2
        run_in_thread(gauge, trials - 1)
        assert gauge.place == "thread"
        run_in_thread(gauge, 1)
        assert gauge.place == "inline"


def test_what_a_cold_thread_shows_to_be_perhaps_short_is_tried_on_the_loop() -> None:
    for on_the_loop, place in [(20e-6, "inline"), (150e-6, "inline"), (PERHAPS, "thread")]:
        gauge = Gauge()
        run_in_thread(gauge, TRIALS, PERHAPS)
        assert (gauge.place, gauge.runs_at_once) == ("inline", False)
        for _ in range(TRIED):
            if gauge.is_inline:
                gauge.ran_inline(on_the_loop, 0.0)
        assert gauge.place == place
        assert gauge.runs_at_once is (place == "inline")
    run_in_thread(gauge, 2 * TRIALS - 1, PERHAPS)
    assert gauge.place == "thread"  # each try takes twice as long to come


def test_what_was_long_just_now_is_not_tried() -> None:
    gauge = Gauge()
    run_in_thread(gauge, TRIALS - 1)
    run_in_thread(gauge, 1, (PERHAPS + OVERRUN) / 2)
    assert gauge.place == "thread"
    run_in_thread(gauge, 1)
    assert gauge.place == "inline"  # the control: one of them may have been


def test_what_was_an_overrun_is_watched_for_long_however_it_returns() -> None:
    gauge = Gauge()
    run_in_thread(gauge, TRIALS)
    gauge.ran_at_once(OVERRUN * 2)
    run_in_thread(gauge, TRIALS, PERHAPS)
    for _ in range(WATCHED - 1):
        gauge.ran_inline(20e-6, 0.0)
    assert (gauge.place, gauge.runs_at_once) == ("inline", False)


def test_what_was_done_well_before_an_overrun_forgives_no_later_one() -> None:
    gauge = Gauge()
    run_in_thread(gauge, TRIALS)
    for _ in range(100 * TRIALS):
        gauge.ran_at_once(20e-6)
    gauge.ran_at_once(OVERRUN * 2)
    run_in_thread(gauge, TRIALS)
    gauge.ran_inline(OVERRUN * 2, 0.0)
    run_in_thread(gauge, TRIALS)
    assert gauge.place == "thread"  # twice as many, this time


@pytest.mark.parametrize("is_measured", [True, False])
def test_calls_that_grow_long_leave_without_an_overrun(is_measured: bool) -> None:
    gauge = Gauge()
    run_in_thread(gauge, TRIALS)
    for _ in range(200):
        if gauge.is_inline and is_measured:
            gauge.ran_inline(LONG * 1.5, 0.0)
        elif gauge.is_inline:
            gauge.ran_at_once(LONG * 1.5)
    assert gauge.place == "thread"


@pytest.mark.parametrize(("busy", "idle"), [(1e-3, 0.0), (20e-6, 1e-3)])
def test_what_computes_for_long_or_waits_never_enters(busy: float, idle: float) -> None:
    gauge = Gauge()
    run_in_thread(gauge, 1000, busy, idle)
    assert gauge.place == "thread"
    assert gauge.wall == pytest.approx(busy + idle)


@pytest.mark.parametrize(("placement", "is_inline"), [("inline", True), ("thread", False)])
def test_what_was_declared_stays(placement: str, is_inline: bool) -> None:
    profile = Profile("f", placement, is_async=False)  # type: ignore[arg-type]
    run_in_thread(profile.single, 100)
    profile.single.ran_at_once(10.0)
    profile.single.ran_inline(10.0, 10.0)
    assert profile.single.is_inline is is_inline
    assert profile.gauge(64).is_inline is is_inline


def test_sizes_are_measured_apart() -> None:
    profile = Profile("f", "auto", is_async=False)
    run_in_thread(profile.gauge(1), TRIALS)
    run_in_thread(profile.gauge(7), TRIALS, busy=1e-3)
    assert profile.gauge(1) is profile.single
    assert profile.gauge(5) is profile.gauge(8)
    assert profile.places == {1: "inline", 8: "thread"}
    assert profile.curve == [20e-6, 0.0, 0.0, 1e-3]
    assert repr(profile).startswith("<Profile f [<Gauge inline 20 us>, <Gauge thread 0 us>")


def test_twice_the_items_take_at_most_twice_as_long() -> None:
    profile = Profile("f", "auto", is_async=False)
    assert profile.gauge(2).place == "thread"
    run_in_thread(profile.single, TRIALS, SHORT / 2)
    assert profile.gauge(4).place == "thread"  # batches of two are not known
    two = profile.gauge(2)
    assert (two.place, two.runs_at_once) == ("inline", False)  # measured in full, as long as new
    two.ran_inline(SHORT * 1.1, 0.0)
    assert profile.gauge(4).place == "thread"
    two.ran_inline(OVERRUN * 2, 0.0)  # it was not so
    assert profile.gauge(2).place == "thread"  # and is not taken for it again, but measured
    declared = Profile("f", "thread", is_async=False)
    declared.single.is_inline = True
    declared.single.mean = SHORT / 2
    assert declared.gauge(2).place == "thread"


def gathers(profile: Profile) -> bool:
    return profile.gathers


def met(profile: Profile, *tasks: object, calls: int = 0) -> list[bool]:
    """Who of these is told to wait for the end of the turn."""
    told = []
    for task in tasks:
        told.append(profile.asked_by is not None and profile.met(task, calls))
        profile.asked_by = profile.asked_by or task
    profile.end_turn()
    return told


def test_calls_gather_once_two_tasks_meet_in_a_turn_until_they_are_alone_again() -> None:
    profile, one, other = Profile("f", "auto", is_async=False), object(), object()
    assert met(profile, one, one, one) == [False] * 3  # one request that asks three times
    assert met(profile, other) == [False]
    assert not gathers(profile)
    assert met(profile, one, other) == [False, True]
    assert gathers(profile)
    for _ in range(ALONE - 1):
        profile.gathered(1, 1, 20e-6, 0)
    run_in_thread(profile.single, 1, 50e-6)
    profile.gathered(2, 2, 50e-6, 0)
    for _ in range(ALONE):
        assert gathers(profile)
        profile.gathered(1, 1, 20e-6, 0)
    assert not gathers(profile)
    assert met(profile, one, other) == [False, True]  # at once again
    for _ in range(ALONE - 1):
        profile.gathered(1, 1, 20e-6, 0)
        assert gathers(profile)


def test_calls_that_are_no_cheaper_together_stop_gathering_for_long() -> None:
    profile = Profile("f", "auto", is_async=False)
    run_in_thread(profile.single, 1, 20e-6)
    profile.gathers = True
    for _ in range(100):
        profile.gathered(4, 4, 80e-6, 100)
        profile.gathered(4, 4, 20e-6, 100)  # others make up for it
    assert gathers(profile)
    for _ in range(IN_VAIN):
        assert gathers(profile)
        profile.gathered(4, 4, 80e-6, 100)
    assert not gathers(profile)
    assert met(profile, object(), object(), calls=99 + NOT_AGAIN) == [False, False]
    assert met(profile, object(), object(), calls=100 + NOT_AGAIN) == [False, True]
    profile.gathered(4, 4, 80e-6, 101 + NOT_AGAIN)
    assert gathers(profile)


def test_what_calls_of_one_price_cost_alone_is_what_counts_for_them() -> None:
    profile = Profile("f", "auto", is_async=False)
    run_in_thread(profile.single, 1, 1.0)
    profile.gathers = True
    for _ in range(2 * IN_VAIN):
        profile.gathered(4, 400.0, 80e-6, 0)  # nobody knows yet
    assert gathers(profile)
    run_in_thread(profile.gauge(100.0), 1, 20e-6)
    for _ in range(IN_VAIN):
        assert gathers(profile)
        profile.gathered(4, 400.0, 80e-6, 0)
    assert not gathers(profile)


def test_what_a_batch_takes_is_known_from_the_loop_too() -> None:
    profile = Profile("f", "inline", is_async=False)
    for _ in range(300):
        profile.gauge(2).ran_at_once(30e-6)
    assert profile.curve == pytest.approx([0.0, 30e-6])
    run_in_thread(profile.gauge(1), 1, 10e-6, 5e-6)
    assert profile.curve == pytest.approx([15e-6, 30e-6])


def test_asynchronous_functions_and_objects_are_told_apart() -> None:
    class Caller:
        async def __call__(self) -> None: ...

    profiles = Profiles("inline")
    assert profiles.of(coroutine).is_async
    assert profiles.of(Caller()).is_async
    assert not profiles.of(coroutine).single.is_inline
    assert not profiles.of(one_call).is_async
    profiles.of(coroutine).single.mean = 1e-3
    assert profiles.placements()["coroutine"] == {1: "async"}


def test_a_function_keeps_its_profile_a_lambda_has_none() -> None:
    profiles = Profiles("auto")
    assert profiles.of(one_call) is profiles.of(one_call)
    nameless = lambda: None  # noqa: E731
    assert profiles.of(nameless) is not profiles.of(nameless)
    assert profiles.of(nameless).name.endswith("<lambda>")
    profiles.forget()
    assert not profiles.known


def test_a_callable_that_cannot_be_hashed_has_a_profile_each_time() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self) -> None: ...

    profiles = Profiles("auto")
    assert profiles.of(Unhashable()).name == "Unhashable"
    assert not profiles.known


def made() -> Callable[[], object]:
    def inner() -> None: ...

    return inner


def test_what_is_quick_outlasts_many_others() -> None:
    profiles = Profiles("auto")
    quick = profiles.of(one_call)
    quick.single.is_inline = True
    others = [made() for _ in range(1000)]
    for other in others:
        profiles.of(other)
    assert len(profiles.known) == 128
    assert profiles.of(one_call) is quick
    for profile in profiles.known.values():
        profile.single.is_inline = True
    profiles.of(coroutine)
    assert one_call not in profiles.known  # all were quick: the oldest one goes


@pytest.mark.parametrize("soon", range(0, 200, 20))
def test_functions_may_go_while_room_is_made_for_another(soon: int) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.own = self.__call__

        def __call__(self) -> None: ...

    profiles = Profiles("auto")
    lasting = Cycle()
    threshold = gc.get_threshold()
    gc.disable()
    try:
        for _ in range(128):
            profiles.of(Cycle())
        gc.set_threshold(gc.get_count()[0] + soon)  # wherever the collector finds it
        gc.enable()
        profiles.of(lasting)
    finally:
        gc.set_threshold(*threshold)
        gc.enable()
    assert profiles.known.get(lasting) is not None
    assert len(profiles.known) <= 128


class Service:
    def predict(self, value: int) -> int:
        return value

    def __call__(self, value: int) -> int:
        return value


@pytest.mark.parametrize(
    "make", [made, lambda: partial(one_call), Service, lambda: Service().predict]
)
def test_functions_made_for_each_request_are_known_as_long_as_they_live(make: Any) -> None:
    profiles = Profiles("auto")
    lasting, passing = make(), [make() for _ in range(5)]
    profile = profiles.of(lasting)
    references = [weakref.ref(getattr(one, "__self__", one)) for one in passing]
    assert len({id(profiles.of(one)) for one in (*passing, lasting)}) == 6
    passing.clear()
    gc.collect()
    assert [reference() for reference in references] == [None] * 5
    assert list(profiles.known.values()) == [profile]
    assert profiles.known.get(lasting) is profile
    assert profiles.known.get(make()) is None


def test_functions_that_equal_each_other_share_a_profile() -> None:
    @dataclass(frozen=True)
    class Scale:
        by: int

        def __call__(self, value: int) -> int:
            return value * self.by

    profiles = Profiles("auto")
    service = Service()
    assert profiles.of(Scale(2)) is profiles.of(Scale(2))
    assert profiles.of(service.predict) is profiles.of(service.predict)
    assert len(profiles.known) == 2


def test_what_cannot_be_referenced_weakly_is_known_all_the_same() -> None:
    class Bare:
        __slots__ = ()

        def __call__(self) -> None: ...

        def method(self) -> None: ...

    profiles, bare = Profiles("auto"), Bare()
    assert profiles.of(bare) is profiles.of(bare)
    assert profiles.of(bare.method) is profiles.of(bare.method)


def test_functions_of_modules_are_their_own_keys() -> None:
    """So that finding them costs nothing more."""
    profiles = Profiles("auto")
    functions: list[Callable[..., object]] = [one_call, Service.predict, Service, len]
    for function in functions:
        profiles.of(function)
    assert list(map(id, profiles.known)) == list(map(id, functions))
