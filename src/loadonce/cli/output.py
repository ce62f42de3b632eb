"""Where commands write what they found."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 200  # columns; a file or a pipe does not wrap


def console() -> Console:
    """Standard output, wide where it is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(soft_wrap=True, width=width)
