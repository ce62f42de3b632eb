"""Estimators that would start processes or threads of their own inside a call are told not to."""

from __future__ import annotations

from typing import Any


def run_jobs_alone(value: object) -> int:
    """Set `n_jobs` to 1 in every scikit-learn estimator in `value`; how many there were.

    One worker of several has one core for a call: more jobs wait for each other. Answers are the
    same.
    """
    return _walk(value, set())


def _walk(value: Any, seen: set[int]) -> int:
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, dict):
        return sum(_walk(each, seen) for each in value.values())
    if isinstance(value, list | tuple):
        return sum(_walk(each, seen) for each in value)
    if not hasattr(value, "get_params") or isinstance(value, type):
        return 0
    fields = getattr(value, "__dict__", {})
    count = 0
    if fields.get("n_jobs") not in (None, 1):
        value.n_jobs = 1
        count = 1
    return count + sum(_walk(each, seen) for each in list(fields.values()))
