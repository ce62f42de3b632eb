"""Results into the documentation."""

from __future__ import annotations

from typing import Final

BEGIN: Final = "<!-- measured: begin (scripts/bench --publish writes this section) -->"
END: Final = "<!-- measured: end -->"
PICTURE: Final = "![Requests a second of each contender, by model](images/benchmarks.svg)"


class NoSectionError(Exception):
    """The page has no section to rewrite."""


def rewrite(page: str, section: str) -> str:
    """The page with the chart and `section` between its marks. Raises NoSectionError."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoSectionError(f"the page lacks the line {BEGIN!r} or {END!r}")
    return f"{before}{BEGIN}\n\n{PICTURE}\n\n{section}\n\n{END}{after}"
