"""Where calls run (executors) and what runs together (batches)."""

from __future__ import annotations

from .engine import Engine
from .placement import Placement

__all__ = ["Engine", "Placement"]
