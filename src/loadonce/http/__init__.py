"""The HTTP side of loadonce: problem details, probes, the request guard and direct routes."""

from __future__ import annotations

from .direct import DirectRoute
from .install import install, installed_registries
from .metrics import metrics_response
from .problems import Problem, problem_response
from .validation import RuleViolation

__all__ = [
    "DirectRoute",
    "Problem",
    "RuleViolation",
    "install",
    "installed_registries",
    "metrics_response",
    "problem_response",
]
