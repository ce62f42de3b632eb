"""Keeps what people submit out of the logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


def without_query(record: logging.LogRecord) -> bool:
    """A logging filter for uvicorn's access lines (client, method, path, HTTP version, status):
    drops the query string from the path. Keeps every record."""
    if isinstance(record.args, tuple) and len(record.args) == 5:
        client, method, path, version, status = record.args
        record.args = (client, method, str(path).partition("?")[0], version, status)
    return True


@contextmanager
def discreet_logs(level: str) -> Iterator[None]:
    """Access lines without query strings, and our own logger at `level`, while the block runs."""
    access, ours = logging.getLogger("uvicorn.access"), logging.getLogger("vitalcheck")
    before = ours.level
    ours.setLevel(level.upper())
    access.addFilter(without_query)
    try:
        yield
    finally:
        access.removeFilter(without_query)
        ours.setLevel(before)
