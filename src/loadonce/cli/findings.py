"""What `loadonce check` found: each with its place, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console

Level = Literal["ok", "note", "warning", "error"]

_MARKS = {
    "ok": "[green]✓[/]",
    "note": "[blue]i[/]",
    "warning": "[yellow]⚠[/]",
    "error": "[red]✗[/]",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: whether it is as it should be; a note is worth knowing and nothing to repair.
        subject: what was looked at: a model, a route, the app.
        text: what was found, in one or more lines.
        hint: what to do about it.
    """

    level: Level
    subject: str
    text: str
    hint: str = ""


def as_errors(findings: Iterable[Finding]) -> list[Finding]:
    """The same findings, with warnings turned into errors."""
    return [
        replace(finding, level="error") if finding.level == "warning" else finding
        for finding in findings
    ]


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any of them is an error."""
    return any(finding.level == "error" for finding in findings)


def as_json(target: str, findings: Sequence[Finding]) -> dict[str, object]:
    """The findings for programs."""
    return {
        "target": target,
        "ok": not has_errors(findings),
        "findings": [asdict(finding) for finding in findings],
    }


def show(console: Console, findings: Sequence[Finding]) -> None:
    """The findings for people, and a last line that counts them."""
    from rich.markup import escape

    for finding in findings:
        first, *more = finding.text.split("\n")
        console.print(
            f"{_MARKS[finding.level]} [bold]{escape(finding.subject)}[/]  {escape(first)}"
        )
        for line in [*more, *([f"  to do: {finding.hint}"] if finding.hint else [])]:
            console.print(f"    {escape(line.strip())}")
    counts = {level: sum(finding.level == level for finding in findings) for level in _MARKS}
    totals = [
        f"{counts[level]} {level}{'s' if counts[level] != 1 else ''}"
        for level in ("note", "warning", "error")
        if counts[level] or level != "note"
    ]
    console.print(f"\n{counts['ok']} in order, {', '.join(totals)}")
