"""Back-off after crashes."""

from __future__ import annotations

import heapq
import signal

import pytest

from loadonce.system.crashes import Crashes, Culprits, cause_of, is_crash


def test_the_next_worker_waits_longer_after_each_crash() -> None:
    crashes = Crashes()
    delays = [crashes.delay_after(now) for now in range(9)]
    assert delays == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert crashes.delay_after(1000.0) == 0.0  # long ago is forgotten


def test_one_that_crashes_at_once_is_forked_less_than_ten_times_a_minute() -> None:
    crashes, now, forks = Crashes(), 0.0, 0
    while now < 60.0:
        now += crashes.delay_after(now) + 0.01
        forks += 1
    assert forks <= 10


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_however_many_crash_ten_at_most_are_forked_in_any_minute(workers: int) -> None:
    crashes = Crashes()
    forks: list[float] = []
    deaths = [0.0] * workers
    while deaths[0] < 600.0:
        now = heapq.heappop(deaths)
        forks.append(now + crashes.delay_after(now))
        heapq.heappush(deaths, forks[-1] + 0.01)
    forks.sort()
    within = [sum(start <= fork < start + 60.0 for fork in forks) for start in forks]
    assert max(within) <= 10
    assert len(forks) > 50  # it never gives up: the control


@pytest.mark.parametrize(
    ("status", "age", "expected"),
    [
        (-signal.SIGKILL, 5.0, False),  # somebody killed it
        (-signal.SIGKILL, 0.5, True),  # perhaps the kernel, for its memory
        (-signal.SIGSEGV, 5.0, True),
        (0, 5.0, True),
    ],
)
def test_who_was_killed_did_not_crash(status: int, age: float, expected: bool) -> None:
    assert is_crash(status, age) is expected


def test_a_version_with_five_crashes_in_a_minute_is_a_culprit() -> None:
    culprits = Culprits(["older"])
    assert [culprits.judge(14.0 * number, "bad") for number in range(5)] == [False] * 4 + [True]
    assert culprits.known == {"older", "bad"}
    assert not culprits.judge(60.0, "bad")  # that is no news


def test_fewer_in_a_minute_or_those_of_others_make_none() -> None:
    culprits = Culprits()
    assert not any(culprits.judge(16.0 * number, "slow") for number in range(20))
    assert not any(culprits.judge(1000.0 + number, f"{number % 4}") for number in range(16))
    assert culprits.known == set()


def test_the_cause_is_told_in_words() -> None:
    assert cause_of(0) == "exit code 0"
    assert cause_of(3) == "exit code 3"
    assert cause_of(-signal.SIGSEGV) == "SIGSEGV"
    assert cause_of(-63) == "signal 63"
