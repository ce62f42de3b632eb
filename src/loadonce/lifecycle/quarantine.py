"""Quarantine: versions that crash the process which serves them serve no more."""

from __future__ import annotations

from collections.abc import Iterable

from .registry import Registry
from .reporting import models_by_name


def quarantine(known: Iterable[Registry], name: str, sha256: str) -> None:
    """Let no request have this version of this model, now or after a load: they get a
    `QuarantinedError`, and for readiness the model counts as an optional one that failed.

    Args:
        known: the registries of this process.
        name: of the model, as `/readyz` shows it.
        sha256: the digest of the version.
    """
    model = models_by_name(known).get(name)
    if model is not None:
        model.slot.quarantined.add(sha256)
        if model.slot.manager is not None:
            model.slot.manager.withdraw(model.slot)
