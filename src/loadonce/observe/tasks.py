"""The threads of this process as the kernel knows them, native ones included."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")


def tasks() -> frozenset[int]:
    """The numbers of all threads; none where the system does not tell."""
    with suppress(OSError):
        return frozenset(int(name) for name in os.listdir(_TASKS))
    return frozenset()


def task_name(number: int) -> str:
    """What a thread is called, by Python or by the kernel; "" if it has ended."""
    for thread in threading.enumerate():
        if thread.native_id == number:
            return thread.name
    with suppress(OSError):
        return (_TASKS / f"{number}/comm").read_text().strip()
    return ""
