"""Estimators that would start processes or threads of their own inside a call are told not to."""

from __future__ import annotations

from typing import Any


def run_jobs_alone(value: object) -> int:
    """Set `n_jobs` to 1 in every scikit-learn estimator in `value`; how many there were.

    One worker of several has one core for a call: more jobs wait for each other. Answers are the
    same.
    """
    count = 0
    seen: set[int] = set()
    waiting = [value]
    while waiting:  # not recursive: what is loaded may be nested as deeply as it likes
        found: Any = waiting.pop()
        if not _may_hold(found) or id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, dict):
            waiting += found.values()
        elif isinstance(found, list | tuple):
            waiting += found
        else:
            fields = getattr(found, "__dict__", {})
            waiting += fields.values()
            if fields.get("n_jobs") not in (None, 1):
                found.n_jobs = 1
                count += 1
    return count


def _may_hold(value: object) -> bool:
    """Whether it is an estimator or a collection: of nothing else is kept that it was seen, for
    there may be millions."""
    if isinstance(value, dict | list | tuple):
        return True
    return hasattr(value, "get_params") and not isinstance(value, type)
