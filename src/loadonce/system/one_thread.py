"""One thread for native libraries while they are imported and load, in a process that will fork."""

from __future__ import annotations

import os

# A thread pool that was used before a fork is gone after it, and whoever waits for it waits for
# ever. Libraries look at these once, when they are imported; in a worker, each inference thread is
# given its share of the cores (`inference/native_threads.py`).
_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class OneThread:
    """Sets the environment's variables, and puts them back in the forked processes."""

    def __init__(self) -> None:
        self._chosen = {name: os.environ.get(name) for name in _VARIABLES}

    def set(self) -> None:
        """From now on, what is imported has one thread."""
        os.environ.update(dict.fromkeys(_VARIABLES, "1"), TOKENIZERS_PARALLELISM="false")

    def put_back(self) -> None:
        """In a forked process: what the operator has chosen counts again."""
        for name, value in self._chosen.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
