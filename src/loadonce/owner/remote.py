"""What stands in a version for an object that another process has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import OwnerClient


class RemoteObject:
    """Stands in a version for an object that another process has."""

    __slots__ = ("client",)

    def __init__(self, client: OwnerClient) -> None:
        self.client = client

    def __repr__(self) -> str:
        return f"<an object in another process, by {self.client!r}>"
