"""OpenMP inside a call: one thread in each inference thread, unless the operator says so."""

from __future__ import annotations

import builtins
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from loadonce.inference import Engine
from loadonce.inference.native_threads import limit_native_threads, thread_share, usable_cores
from loadonce.observe.statistics import CallStatistics


@pytest.fixture(scope="module", autouse=True)
def _openmp_is_loaded() -> None:
    HistGradientBoostingClassifier(max_iter=1).fit(np.eye(40), np.arange(40) % 2)


def openmp_threads() -> set[int]:
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "openmp"}


def threads_after_limiting() -> set[int]:
    limit_native_threads()
    return openmp_threads()


def in_thread(function: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found: set[int] = in_thread(openmp_threads)
    if found == {1}:
        pytest.skip("this machine has one core")
    return found


@pytest.mark.anyio
async def test_an_inference_thread_gets_one_and_others_keep_theirs(several: set[int]) -> None:
    engine = Engine("m", CallStatistics())
    assert await engine.run(openmp_threads) == {1}
    assert in_thread(openmp_threads) == several
    await engine.close()


def test_the_operator_s_own_number_stays(
    several: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert in_thread(threads_after_limiting) == {3}
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert in_thread(threads_after_limiting) == {1}


@pytest.mark.parametrize(
    ("cores", "workers", "callers", "expected"),
    [(16, 1, 1, 16), (16, 2, 2, 4), (16, 4, 8, 1), (2, 1, 8, 1), (1, 4, 0, 1), (8, 1, 0, 8)],
)
def test_cores_are_shared_by_workers_and_their_inference_threads(
    cores: int, workers: int, callers: int, expected: int
) -> None:
    assert thread_share(cores, workers, callers) == expected


def test_the_cores_that_count_are_those_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 3, 5}, raising=False)
    assert usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


def test_blas_is_limited_unless_the_operator_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)

    def blas() -> set[int]:
        return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}

    def blas_after_limiting() -> set[int]:
        threadpool_limits(limits=2, user_api="blas")
        limit_native_threads()
        return blas()

    before = blas()
    assert in_thread(blas_after_limiting) == {1}
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert in_thread(blas_after_limiting) == {2}
    threadpool_limits(limits=max(before), user_api="blas")


def test_without_numpy_there_is_nothing_to_limit(
    several: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "numpy")
    assert in_thread(threads_after_limiting) == several


def test_without_threadpoolctl_calls_run_all_the_same(
    several: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "threadpoolctl":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    in_thread(limit_native_threads)
    monkeypatch.undo()
    assert in_thread(openmp_threads) == several
