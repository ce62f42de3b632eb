"""Where calls run (executors) and what runs together (batches)."""

from __future__ import annotations

from .engine import Engine, Placement

__all__ = ["Engine", "Placement"]
