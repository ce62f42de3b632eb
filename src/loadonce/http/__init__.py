"""The HTTP side of loadonce: problem details, probes and the request guard for FastAPI apps."""

from __future__ import annotations

from .install import install, installed_registries
from .problems import Problem, problem_response
from .validation import RuleViolation

__all__ = ["Problem", "RuleViolation", "install", "installed_registries", "problem_response"]
