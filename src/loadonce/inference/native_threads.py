"""How many threads native libraries may start inside one call."""

from __future__ import annotations

import logging
import os
import sys

logger = logging.getLogger("loadonce")


def limit_native_threads() -> None:
    """Let OpenMP run the calls of the present thread in this thread alone.

    A model's calls already have threads of their own; OpenMP's teams on top wait for each other.
    Two HistGradientBoosting models called from eight threads on two cores: 1.4 to 2.2 times the
    calls a second with the limit; one model called by one thread: no difference; on a machine that
    is busy otherwise the teams can stall for seconds. The limit belongs to the thread that sets
    it, hence it is set in each inference thread, when its first call comes and its libraries are
    there. Does nothing where the operator has set OMP_NUM_THREADS, or without threadpoolctl (which
    scikit-learn brings).
    """
    if "OMP_NUM_THREADS" in os.environ or "numpy" not in sys.modules:
        return
    try:
        from threadpoolctl import threadpool_limits

        threadpool_limits(limits=1, user_api="openmp")
    except Exception as error:  # slower, but nothing that should stop a call
        logger.debug("OpenMP keeps its own number of threads: %s", type(error).__name__)
