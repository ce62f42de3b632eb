"""Model cards: one common format, JSON for programs and Markdown for people."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from vitalcheck.features import FEATURES, FeatureSet
from vitalcheck.training.artifacts import Facts
from vitalcheck.training.sources import DISCLAIMER, SOURCES

LIBRARIES = ("scikit-learn", "numpy", "scipy", "joblib", "pyarrow", "pandas")


def build_card(
    name: str, facts: Facts, files: Sequence[Path], *, seed: int, seconds: float
) -> Facts:
    """The whole card of an artifact: what is known of its data, then `facts`, then its making."""
    card: Facts = {"name": name, "version": version("vitalcheck")}
    if name in SOURCES:
        source = SOURCES[name]
        card |= {
            "title": source.title,
            "task": source.task,
            "data": source.origin,
            "licence": source.licence,
        }
    card |= facts
    if name in FEATURES:
        card["features"] = feature_facts(FEATURES[name])
    if name in SOURCES:
        card["known_limits"] = list(SOURCES[name].limits)
    return card | {
        "files": [file_facts(path) for path in files],
        "seed": seed,
        "training_seconds": round(seconds, 1),
        "libraries": {**_versions(LIBRARIES), **_mapping(facts.get("libraries"))},
        "disclaimer": DISCLAIMER,
    }


def feature_facts(table: FeatureSet) -> list[Facts]:
    """The inputs as a card states them."""
    return [
        {
            "name": item.name,
            "kind": item.kind,
            "unit": item.unit,
            "low": item.low,
            "high": item.high,
            "levels": list(item.levels),
            "optional": item.optional,
            "meaning": item.meaning,
        }
        for item in table.features
    ]


def file_facts(path: Path) -> Facts:
    """A file as a card states it."""
    content = path.read_bytes()
    return {
        "path": path.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def write_card(card: Facts, directory: Path) -> None:
    """Write `NAME.json` and `NAME.md` into `directory`. ValueError for NaN or infinity."""
    directory.mkdir(parents=True, exist_ok=True)
    content = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False)
    (directory / f"{card['name']}.json").write_text(content + "\n", encoding="utf-8")
    (directory / f"{card['name']}.md").write_text(as_markdown(card), encoding="utf-8")


def as_markdown(card: Mapping[str, object]) -> str:
    """A card as Markdown: short values as one list, everything else as a section of its own."""
    title = card.get("title", card["name"])
    lines = [f"# {title}", "", f"> {card['disclaimer']}", ""]
    rest = {key: value for key, value in card.items() if key not in ("title", "disclaimer")}
    for key, value in rest.items():
        if not isinstance(value, Mapping | list):
            lines.append(f"- **{_words(key)}**: {_cell(value)}")
    for key, value in rest.items():
        if isinstance(value, Mapping | list) and value:
            lines += ["", f"## {_words(key).capitalize()}", "", *_section(value)]
    return "\n".join(lines) + "\n"


def _section(value: Mapping[str, object] | list[object]) -> list[str]:
    if isinstance(value, list):
        tables = [item for item in value if isinstance(item, Mapping)]
        return _table(tables) if tables else [f"- {_cell(item)}" for item in value]
    simple = {k: v for k, v in value.items() if not isinstance(v, Mapping | list)}
    lines = [f"- **{_words(key)}**: {_cell(item)}" for key, item in simple.items()]
    nested = {k: v for k, v in value.items() if k not in simple}
    rows = [{"": key, **item} for key, item in nested.items() if isinstance(item, Mapping)]
    if rows:
        lines += ["", *_table(rows)] if lines else _table(rows)
    for key, item in nested.items():
        if isinstance(item, list) and item:
            lines += ["", f"{_words(key).capitalize()}:", "", *_section(item)]
    return lines


def _table(rows: Sequence[Mapping[str, object]]) -> list[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return [
        "| " + " | ".join(_words(column) for column in columns) + " |",
        "|" + " --- |" * len(columns),
        *("| " + " | ".join(_cell(row.get(c, "")) for c in columns) + " |" for row in rows),
    ]


def _words(key: object) -> str:
    return str(key).replace("_", " ")


def _cell(value: object) -> str:
    """A value in a table or list: no line break, no column mark, at most five digits."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.5g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(key)} {_cell(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value)
    return str(value).replace("\n", " ").replace("|", "\\|")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _versions(names: Sequence[str]) -> Facts:
    return {name: version(name) for name in names}
