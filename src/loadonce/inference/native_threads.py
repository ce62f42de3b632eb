"""How many threads native libraries may start inside one call."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

logger = logging.getLogger("loadonce")

_APIS = {
    "openmp": ("OMP_NUM_THREADS",),
    "blas": ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "OMP_NUM_THREADS"),
}


def thread_share(cores: int, workers: int, callers: int) -> int:
    """How many threads a library may use inside one call, at least one.

    Args:
        cores: that this process may run on.
        workers: processes like this one on the machine.
        callers: inference threads of this process, which may all call at the same time.
    """
    return max(1, cores // max(1, workers * callers))


def usable_cores() -> int:
    """The cores this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def limit_native_threads(count: int = 1) -> None:
    """Let OpenMP and BLAS run the calls of the present thread in so many threads.

    A model's calls already have threads of their own; OpenMP's teams on top wait for each other.
    Two HistGradientBoosting models called from eight threads on two cores: 1.4 to 2.2 times the
    calls a second with a limit of one; one model called by one thread: no difference; on a machine
    that is busy otherwise the teams can stall for seconds. OpenMP's limit belongs to the thread
    that sets it, hence it is set in each inference thread, when its first call comes and its
    libraries are there; BLAS libraries may have one for the process. What the operator has
    set by OMP_NUM_THREADS or the variables of the BLAS libraries counts instead, also where a
    library was imported when they were different (before a fork). Does nothing without
    threadpoolctl (which scikit-learn brings).
    """
    if "numpy" not in sys.modules:
        return
    try:
        from threadpoolctl import threadpool_limits

        for api, names in _APIS.items():
            threadpool_limits(limits=_chosen(names) or count, user_api=api)
    except Exception as error:  # slower, but nothing that should stop a call
        logger.debug("libraries keep their own number of threads: %s", type(error).__name__)


def _chosen(names: Sequence[str]) -> int:
    """The number that the first of these variables which is set begins with; 0 if there is none."""
    text = next((os.environ[name] for name in names if os.environ.get(name)), "")
    first = text.partition(",")[0].strip()  # OpenMP takes a list, for nested teams
    return int(first) if first.isdigit() else 0
