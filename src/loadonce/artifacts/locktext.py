"""The lock file's text: TOML in, sorted TOML out; every flaw named with its line."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping

from loadonce.artifacts.entry import LOCK_NAME, Golden, LockEntry
from loadonce.artifacts.names import problem_with
from loadonce.errors import ConfigurationError, LockFileError

LOCK_VERSION = 1
REWRITE = "restore the file from version control, or delete it and run `loadonce lock DIR`"
_HEADER = "# Written by `loadonce lock`. Commit it beside the files; its diff is what to review.\n"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORMAT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_IDENTIFIERS = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_GLOBAL = re.compile(rf"{_IDENTIFIERS}\.[^\W\d]\w*|{_IDENTIFIERS}:{_IDENTIFIERS}")
_TOP_FIELDS = {"lock_version", "artifacts"}
_REQUIRED = ("size", "sha256", "format")
_ENTRY_FIELDS = {*_REQUIRED, "version", "libraries", "globals", "golden"}
_GOLDEN_FIELDS = {"method", "input", "output", "rtol", "atol"}


def parse(text: str) -> dict[str, LockEntry]:
    """The entries by path, sorted. Raises LockFileError naming line and field of the first flaw."""
    try:
        document: dict[str, object] = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:  # Python has a limit on the digits of a number
        raise _flawed(f"the lock file is not valid TOML: {exc}") from exc
    reader = _Reader(text)
    reader.check_fields((), document, _TOP_FIELDS)
    if document.get("lock_version") != LOCK_VERSION:
        raise reader.flaw(
            ("lock_version",), str(LOCK_VERSION), repr(document.get("lock_version", "nothing"))
        )
    artifacts = reader.table(("artifacts",), document.get("artifacts", {}))
    return {path: reader.entry(path, artifacts[path]) for path in sorted(artifacts)}


def render(entries: Mapping[str, LockEntry]) -> str:
    """The text of a lock file: entries, libraries and globals sorted, one per line.

    Raises ConfigurationError for a golden example that is not JSON.
    """
    blocks = [f"{_HEADER}lock_version = {LOCK_VERSION}\n"]
    blocks += ["\n".join([*_entry_lines(entries[path]), ""]) for path in sorted(entries)]
    return "\n".join(blocks)


def _entry_lines(entry: LockEntry) -> Iterator[str]:
    table = f"artifacts.{_quote(entry.path)}"
    yield f"[{table}]"
    yield f"size = {entry.size}"
    yield f"sha256 = {_quote(entry.sha256)}"
    yield f"format = {_quote(entry.format)}"
    if entry.version is not None:
        yield f"version = {_quote(entry.version)}"
    if entry.globals:
        yield "globals = ["
        yield from (f"    {_quote(name)}," for name in sorted(set(entry.globals)))
        yield "]"
    if entry.libraries:
        yield f"\n[{table}.libraries]"
        yield from (f"{_quote(k)} = {_quote(v)}" for k, v in sorted(entry.libraries.items()))
    if entry.golden is not None:
        yield f"\n[{table}.golden]"
        yield f"method = {_quote(entry.golden.method)}"
        yield f"input = {_quote(_to_json(entry.path, entry.golden.input))}"
        yield f"output = {_quote(_to_json(entry.path, entry.golden.output))}"
        yield f"rtol = {float(entry.golden.rtol)!r}"
        yield f"atol = {float(entry.golden.atol)!r}"


def _quote(text: str) -> str:
    """A TOML basic string: JSON's escapes are valid there; DEL alone needs one more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _to_json(path: str, value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(
            f"the golden example of '{path}' cannot be written as JSON: {exc}"
        ) from exc


def _flawed(problem: str, *, expected: str = "", found: str = "") -> LockFileError:
    return LockFileError("", problem, path=LOCK_NAME, expected=expected, found=found, hint=REWRITE)


class _Reader:
    """Turns parsed TOML into entries; keeps the text to say on which line a flaw is."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()

    def entry(self, path: str, value: object) -> LockEntry:
        at = ("artifacts", path)
        if reason := problem_with(path):
            raise self.flaw(at, "a path below the root", reason)
        fields = self.table(at, value)
        self.check_fields(at, fields, _ENTRY_FIELDS)
        for name in _REQUIRED:
            if name not in fields:
                raise self.flaw((*at, name), "a value", "nothing")
        libraries = self.table((*at, "libraries"), fields.get("libraries", {}))
        return LockEntry(
            path=path,
            size=self._size((*at, "size"), fields["size"]),
            sha256=self._text((*at, "sha256"), fields["sha256"], _SHA256, "64 hex digits"),
            format=self._text((*at, "format"), fields["format"], _FORMAT, "a format name"),
            libraries={k: self._text((*at, "libraries", k), v) for k, v in libraries.items()},
            globals=self._globals((*at, "globals"), fields.get("globals", [])),
            version=self._text((*at, "version"), fields["version"])
            if "version" in fields
            else None,
            golden=self._golden((*at, "golden"), fields["golden"]) if "golden" in fields else None,
        )

    def table(self, at: tuple[str, ...], value: object) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self.flaw(at, "a table", repr(value))
        return value

    def check_fields(self, at: tuple[str, ...], table: dict[str, object], known: set[str]) -> None:
        for name in table:
            if name not in known:
                raise self.flaw((*at, name), f"one of {', '.join(sorted(known))}", "unknown field")

    def flaw(self, at: tuple[str, ...], expected: str, found: str) -> LockFileError:
        field = ".".join(part if part.isidentifier() else _quote(part) for part in at)
        line = self._line_of(at)
        where = f"line {line}, field {field}" if line else f"field {field}"
        return _flawed(f"the lock file is malformed: {where}", expected=expected, found=found[:200])

    def _line_of(self, at: tuple[str, ...]) -> int:
        """The line of a field: the last line on the way that begins with its key, 0 if none."""
        line = 0
        for part in at:
            keys = (part, _quote(part))
            for number, text in enumerate(self._lines[line:], line + 1):
                head = text.strip().lstrip("[").split("=")[0].rstrip(" ]")
                if head.endswith(keys):
                    line = number
                    break
        return line

    def _size(self, at: tuple[str, ...], value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.flaw(at, "a size in bytes", repr(value))
        return value

    def _text(
        self,
        at: tuple[str, ...],
        value: object,
        pattern: re.Pattern[str] | None = None,
        expected: str = "a string",
    ) -> str:
        if not isinstance(value, str) or not value or (pattern and not pattern.fullmatch(value)):
            raise self.flaw(at, expected, repr(value))
        return value

    def _globals(self, at: tuple[str, ...], value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise self.flaw(at, "an array of names", repr(value))
        return tuple(self._text(at, name, _GLOBAL, "'module.Name'") for name in value)

    def _golden(self, at: tuple[str, ...], value: object) -> Golden:
        fields = self.table(at, value)
        self.check_fields(at, fields, _GOLDEN_FIELDS)
        return Golden(
            method=self._text((*at, "method"), fields.get("method")),
            input=self._json((*at, "input"), fields.get("input")),
            output=self._json((*at, "output"), fields.get("output")),
            rtol=self._tolerance((*at, "rtol"), fields.get("rtol", 1e-6)),
            atol=self._tolerance((*at, "atol"), fields.get("atol", 1e-8)),
        )

    def _json(self, at: tuple[str, ...], value: object) -> object:
        text = self._text(at, value, expected="a JSON value in a string")
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise self.flaw(at, "a JSON value in a string", str(exc)) from exc

    def _tolerance(self, at: tuple[str, ...], value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
            raise self.flaw(at, "a number that is not negative", repr(value))
        return float(value)
