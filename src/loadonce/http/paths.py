"""Telling quickly whether a request is for a route, where that is plain to see."""

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


def is_exactly(scope: Scope, path: str) -> bool:
    """Whether a request is for the route with this path, without parameters, of an app that is not
    mounted and a router that is not included; False says nothing."""
    is_plain = scope["type"] == "http" and not scope.get("root_path") and not scope.get("fastapi")
    return is_plain and scope["path"] == path and "{" not in path
