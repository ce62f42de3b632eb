"""Clients that depart before they are answered: what they wait for need not run.

uvicorn tells an app that asks; handlers do not, they wait for their model.
"""

from __future__ import annotations

from typing import Any

from loadonce.lifecycle.dependency import USED
from loadonce.lifecycle.handle import drop_calls

TASK = "loadonce.task"  # the key, in a request's scope, of the task that answers it


def departing(protocol: type[Any]) -> type[Any]:
    """An HTTP protocol of uvicorn that drops the calls of a client whose connection is lost."""

    class Departing(protocol):  # type: ignore[misc]  # a class that is only known now
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.cycle is not None and self.cycle.disconnected:
                scope = self.cycle.scope
                if USED in scope:  # else its task may not have begun
                    drop_calls(scope[USED], scope[TASK])

    return Departing
