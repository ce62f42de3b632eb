from __future__ import annotations


def lock() -> None: ...
