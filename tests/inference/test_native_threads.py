"""OpenMP inside a call: one thread in each inference thread, unless the operator says so."""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_info

from loadonce.inference import Engine
from loadonce.inference.native_threads import limit_native_threads
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
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert in_thread(threads_after_limiting) == several


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
