"""The documentation's pages, and the blocks of code in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
PAGES += [ROOT / "examples/README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(
    r"^(?P<fence>```+|<!--)(?P<info>[^\n]*)\n(?P<text>.*?)^(?:(?P=fence)|-->)$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="(?P<title>[^"]+)"')


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        language: "python", "console", ...; "" for none. A comment `<!--test` counts as Python that
            readers do not see.
        title: the file's name, for a block that shows a whole file.
        text: what stands between the fences.
        line: the number of its first line in the page, from 1.
    """

    language: str
    title: str
    text: str
    line: int


def name_of(page: Path) -> str:
    """A page's path below the root."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """All blocks of a page, in order."""
    content = page.read_text()
    for match in _BLOCK.finditer(content):
        info = match["info"].strip()
        if match["fence"] == "<!--":
            if info != "test":
                continue
            info = "python"
        title = _TITLE.search(info)
        yield Block(
            language=info.split(" ")[0],
            title=title["title"] if title else "",
            text=match["text"],
            line=content.count("\n", 0, match.start("text")) + 1,
        )
