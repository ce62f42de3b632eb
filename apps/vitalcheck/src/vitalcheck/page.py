"""The web page and the API's documentation: static files under a strict content policy.

`/` is index.html and `/docs` is docs.html; everything else they use lies under `/static/`. Nothing
comes from another host, so both work without one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

POLICY: Final = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""No script, style or picture but our own files, nothing inline, and no page around ours."""
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",
}


class GuardedFiles(StaticFiles):
    """Static files that cannot be framed, sniffed or scripted by others."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


def page_routes(directory: Path) -> list[BaseRoute]:
    """The routes of the page in `directory`, which must exist."""
    files = GuardedFiles(directory=directory)

    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    async def docs(request: Request) -> Response:
        return await files.get_response("docs.html", request.scope)

    return [Route("/", page), Route("/docs", docs), Mount("/static", files, name="static")]
