"""What a process that serves, or its forebears, sets for itself."""

from __future__ import annotations

import faulthandler
import gc
import sys

from loadonce.server.options import ServeOptions

from .logs import StartLines, configure_logging

# Beside a model written in Python, /livez took half as long as with Python's 5 ms (median 8 -> 4,
# lag of the event loop 6 -> 2 ms), at the same throughput; beside scikit-learn it changes nothing.
_SWITCH_INTERVAL = 0.001

# New objects that outlive their death, before the collector looks at them. Requests that wait for a
# batch hold some 60 each; with Python's 700 it found a hundred of them alive again and again, which
# took a tenth of the time of such requests.
_COLLECT_AFTER = 5_000


def configure_process(options: ServeOptions, *, is_silent: bool = False) -> StartLines:
    """Set logging, fault reports, and how the interpreter shares its time.

    Args:
        options: of the server.
        is_silent: another process tells of the models' start.
    """
    lines = configure_logging(
        options.log_level,
        access_log=options.access_log,
        package=options.target.partition(":")[0].partition(".")[0],
        shows_errors=options.shows_errors,
        is_silent=is_silent,
    )
    if not faulthandler.is_enabled():
        faulthandler.enable(2)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    gc.set_threshold(_COLLECT_AFTER, 20, 50)
    return lines
