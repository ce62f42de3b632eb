"""Telling quickly that a request is for another route."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope


def is_elsewhere(scope: Scope, path: str) -> bool:
    """Whether a route with this path cannot match; False says nothing.

    Whatever is mounted or included where, the path of a request that matches a route without
    parameters ends with the route's. (The pattern of Starlette lets a line end follow it.)
    """
    asked: str = scope.get("path", "")
    return not asked.endswith((path, "\n")) and "{" not in path
