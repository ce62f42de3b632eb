"""Who dies with whom."""

from __future__ import annotations

import os
import signal
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

_PR_SET_PDEATHSIG = 1


def is_linux() -> bool:
    """Whether this system has what the processes of loadonce need."""
    return sys.platform == "linux"


def die_with(parent: int) -> None:
    """Be killed when `parent` ends, on Linux; end at once if it has ended already."""
    if is_linux():
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def prctl(option: int, value: int) -> None:
    """Linux's prctl(2).

    Raises:
        OSError: it failed.
    """
    import ctypes  # milliseconds that most apps need not wait

    if _libc().prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@cache
def _libc() -> ctypes.CDLL:
    """Made once, before the fork: each time takes a class of its own."""
    import ctypes

    return ctypes.CDLL(None, use_errno=True)
