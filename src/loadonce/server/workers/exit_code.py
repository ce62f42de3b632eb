"""With what the server ends, and whether that has begun."""

from __future__ import annotations


class ExitCode:
    """None while the server is to go on."""

    def __init__(self) -> None:
        self.code: int | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether the end has begun."""
        return self.code is not None

    def end(self, code: int) -> None:
        """Nothing is left to do; the worst code counts."""
        self.code = max(code, self.code or 0)
