"""How a process ends: its exit code, the message that explains it, and that it does end."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn

from loadonce.errors import ConfigurationError, LoadOnceError, ModelError, StartupError
from loadonce.observe.events import log_fields
from loadonce.server.options import ServeOptions
from loadonce.system.deadline import Deadline
from loadonce.system.signals import Stopping, StopRequestedError

from .importing import place_of

EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_START_FAILED = 3  # as uvicorn has it
EXIT_CANNOT_FORK = 71  # of a zygote, to its supervisor

_LONGEST_REASON = 4000  # characters
_LAST_FUNCTIONS = 5.0  # seconds for what is registered with atexit


def guarded(
    options: ServeOptions,
    stopping: Stopping,
    run: Callable[[], int],
    on_failure: Callable[[Exception], object] = lambda _error: None,
) -> int:
    """Run with signals and a deadline taken care of; a failure becomes a message, and its code."""
    try:
        with stopping.deadline, stopping:
            return run()
    except StopRequestedError:
        fields: dict[str, object] = {"signal": stopping.signal_name}
        log_fields(logging.INFO, "stopped before it served", fields)
        return EXIT_STOPPED
    except Exception as error:
        on_failure(error)
        return tell_failure(error, options)


def tell_failure(error: Exception, options: ServeOptions) -> int:
    """Say on standard error why the start failed, for people, so never as JSON; the exit code."""
    text = failure_text(error)
    if _shows_traceback(error, options):
        text = "".join(traceback.format_exception(error)) + text
    sys.stderr.write(f"{text}\n")
    return EXIT_FAILED if isinstance(error, ConfigurationError) else EXIT_START_FAILED


def failure_text(error: Exception) -> str:
    """Why the start failed, for the operator."""
    known = _startup_error(error)
    if known is not None:
        return str(known)
    place = place_of(error)
    text = f"the app's start failed: {type(error).__name__}: {error}"
    return text + (f" ({place})" if place else "")


def failed(error: Exception) -> dict[str, str]:
    """The message that tells the supervisor."""
    reason = failure_text(error)[:_LONGEST_REASON]
    return {"what": "failed", "reason": reason, "public": public_text(error)[:_LONGEST_REASON]}


def public_text(error: Exception) -> str:
    """Why the start failed, for everybody: kinds of errors and names of models, nothing that an
    exception's text may quote."""
    known = _startup_error(error)
    failures = known.failures if isinstance(known, StartupError) else (known or error,)
    return "; ".join(dict.fromkeys(map(_public, failures)))


def _public(error: BaseException) -> str:
    kind = type(error).__name__
    model = error.model if isinstance(error, ModelError) else ""
    return f"model '{model}': {kind}" if model else kind


def _shows_traceback(error: Exception, options: ServeOptions) -> bool:
    """At "debug" always; else, where errors are shown, if code of somebody else's raised it."""
    is_foreign = not isinstance(error, LoadOnceError) or error.__cause__ is not None
    return options.log_level == "debug" or (options.shows_errors and is_foreign)


def _startup_error(error: BaseException) -> LoadOnceError | None:
    """The error of ours in `error`, which a task group may have wrapped."""
    if isinstance(error, LoadOnceError):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = [_startup_error(each) for each in error.exceptions]
        return next((each for each in found if each is not None), None)
    return None


def end_process(code: int) -> NoReturn:
    """End this process now, after what is registered to run at its end, which gets 5 seconds.

    Threads that hang in a model, and native libraries that hang in their destructors, cannot keep
    it from ending.
    """
    with ExitStack() as last:  # each of these runs, the last one first, whatever else is raised
        last.callback(os._exit, code)
        last.callback(sys.stderr.flush)
        last.callback(sys.stdout.flush)
        last.callback(atexit._run_exitfuncs)
        # A daemon, for signals are ignored by now: only this ends a function that hangs. It raises
        # where the system has no thread left; a forked process must end all the same.
        deadline = Deadline(_exit_hangs, lambda _code: os._exit(code))
        deadline.__enter__()
        deadline.arm(_LAST_FUNCTIONS)
    raise AssertionError("unreachable")


def _exit_hangs(seconds: float) -> str:
    return f"what was registered with atexit has not ended within {seconds:g} s, ending at once"
