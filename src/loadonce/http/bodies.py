"""Is a JSON body one that the app can safely be given? Pure functions of its bytes.

`is_suspicious` decides, in a few microseconds for a kilobyte, that nothing can be wrong with nearly
every body; only the others are parsed and looked at value by value.
"""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

MOST_DEPTH = 64
_MOST_FINDINGS = 32

Path = tuple[object, ...]
_Container = dict[object, object] | list[object] | tuple[object, ...]

# Digits, the letters of numbers and what may stand before a value fold together, so that a few
# plain substrings find everything.
_FOLD = bytes.maketrans(b'0123456789EnNaAiIfF",[', b"0000000000ennaaiiff:::")
_DROP = b"+-_ \t\r\n" + bytes(byte for byte in range(0x80, 0x100) if byte != 0xED)
# The same, quicker and for more than it should: letters in one case, digits and "_" as zeros.
_GLANCE = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", b"abcdefghijklmnopqrstuvwxyz00000000000"
)
_LONG = b"0" * 19
_ESCAPE = re.compile(rb"\\u(?:00|[dD][89a-fA-F])")
_BIG_NUMBER = re.compile(rb"(?<![0-9A-Za-z._/])[0-9](?:[0-9_]{18}|[0-9._]*+[eE]\+?[0-9_]{3})")
_SURROGATE_BYTES = re.compile(rb"\xed[\xa0-\xbf]")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKET_IN_STRINGS = re.compile(
    rb'(?:[^"]*+"[^"\\\[\]{}]*+(?:\\.[^"\\\[\]{}]*+)*+")*+[^"]*+', re.DOTALL
)
_NUMBER_TEXT = re.compile(r"[\s+\-0-9._eEnNaAiIfFtTyY]{3,}+")
_INTEGER_TEXT = re.compile(r"\s*[+-]?[0-9_]+\s*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_INT64 = range(-(2**63), 2**64)

_NOT_FINITE = ("finite_number", "Input should be a finite number")
_NOT_UNICODE = ("string_unicode", "Text should not contain lone surrogates")
_HAS_NUL = ("string_nul", "Text should not contain NUL characters")
_TOO_BIG = ("int_size", "Input should be an integer of at most 64 bits")
_FINE = ("", "")


@dataclass(frozen=True, slots=True)
class Finding:
    """One value that cannot be used: where it stands and which rule it breaks."""

    path: Path
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a close look at a body found.

    Attributes:
        unreadable: why the body is no JSON at all; "" if it is, or if any parser will say so.
        refused: values that no JSON may hold.
        doubtful: values that are fine as texts or in themselves, and hard on code that takes them
            for ordinary numbers.
        value: the parsed body; None if it could not be parsed.
    """

    unreadable: str = ""
    refused: tuple[Finding, ...] = ()
    doubtful: tuple[Finding, ...] = ()
    value: object = None


def is_suspicious(body: bytes) -> bool:
    """Whether the body may hold anything that `inspect` would find."""
    glanced = body.translate(_GLANCE)
    return (
        b"nan" in glanced
        or b"inf" in glanced
        or b"\\u" in glanced
        or b"\x00" in glanced
        or b"\xed" in glanced
        or _LONG in glanced
        or b"e000" in glanced
        or b"e+000" in glanced
    ) and _is_suspicious(body)


def _is_suspicious(body: bytes) -> bool:
    folded = body.translate(_FOLD, _DROP)
    return (
        b":nan" in folded
        or b":inf" in folded
        or folded.startswith((b"nan", b"inf"))
        or b"\x00" in folded
        or (b"\xed" in folded and _SURROGATE_BYTES.search(body) is not None)
        or (b"\\u" in folded and _ESCAPE.search(body) is not None)
        or (
            (_LONG in folded or b"0e000" in folded or b".e000" in folded)
            and _BIG_NUMBER.search(body) is not None
        )
    )


def is_too_deep(body: bytes) -> bool:
    """Whether arrays and objects nest deeper than `MOST_DEPTH`; in time linear in the body."""
    if body.count(b"[") + body.count(b"{") <= MOST_DEPTH:
        return False
    if _NO_BRACKET_IN_STRINGS.fullmatch(body) is None:
        body = _STRING.sub(b"", body)
    brackets = body.translate(None, _NOT_BRACKETS)
    for _level in range(MOST_DEPTH):  # each round takes away at least the innermost level
        fewer = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if fewer == brackets:  # they do not match up: no JSON, as the parser will say
            return brackets.count(b"[") + brackets.count(b"{") > MOST_DEPTH
        brackets = fewer
    return len(brackets) > 0


def inspect(body: bytes, *, allow_non_finite: bool = False) -> Inspection:
    """Look at each value of a JSON body.

    Args:
        body: all of it.
        allow_non_finite: let NaN and the infinities pass.
    """
    if b"\x00" in body or _SURROGATE_BYTES.search(body) is not None:
        return Inspection(unreadable="The body is not JSON in UTF-8.")
    try:
        value = json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return Inspection()  # FastAPI's parser will say so
    except ValueError:  # Python's limit on the digits of an integer
        return Inspection(unreadable="A number in the body has too many digits.")
    refused: list[Finding] = []
    doubtful: list[Finding] = []
    for path, key, item in walk(value):
        rule, message = _refusal(key, item)
        if rule and not (allow_non_finite and rule == "finite_number"):
            refused.append(Finding((*path, key), rule, message))
        rule, message = _doubt(item)
        if rule and not (allow_non_finite and rule == "finite_number"):
            doubtful.append(Finding((*path, key), rule, message))
        if len(refused) + len(doubtful) >= _MOST_FINDINGS:
            break
    return Inspection("", tuple(refused), tuple(doubtful), value)


def non_finite(value: object) -> tuple[Finding, ...]:
    """Where NaN and the infinities stand in a value made of dicts, lists, tuples and scalars."""
    found = (
        Finding((*path, key), *_NOT_FINITE)
        for path, key, item in walk(value)
        if _refusal("", item) == _NOT_FINITE
    )
    return tuple(islice(found, _MOST_FINDINGS))


def walk(value: object) -> Iterator[tuple[Path, object, object]]:
    """(path of the container, key or index, value) of all there is; the root is called "body".

    Not recursive; level by level.
    """
    waiting: deque[tuple[Path, _Container]] = deque([((), {"body": value})])
    while waiting:
        path, node = waiting.popleft()
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
        for key, item in pairs:
            if isinstance(item, dict | list | tuple):
                waiting.append(((*path, key), item))
            yield path, key, item


def _refusal(key: object, item: object) -> tuple[str, str]:
    texts = (text for text in (key, item) if isinstance(text, str) and not text.isascii())
    if any(_SURROGATE.search(text) for text in texts):
        return _NOT_UNICODE
    return _NOT_FINITE if isinstance(item, float) and not math.isfinite(item) else _FINE


def _doubt(item: object) -> tuple[str, str]:
    if isinstance(item, str):
        return doubt_about_text(item)
    return _TOO_BIG if isinstance(item, int) and item not in _INT64 else _FINE


def doubt_about_text(text: str) -> tuple[str, str]:
    """(rule, message) of what a lenient parser may make of this text that a model cannot take: NaN,
    an infinity, an integer beyond 64 bits; or of a NUL in it. Both "" if nothing."""
    if "\x00" in text:
        return _HAS_NUL
    if _NUMBER_TEXT.fullmatch(text) is None:
        return _FINE
    try:
        number = float(text)
    except ValueError:
        return _FINE
    if not math.isfinite(number):
        return _NOT_FINITE
    is_integer = _INTEGER_TEXT.fullmatch(text) is not None
    return _TOO_BIG if is_integer and abs(number) >= 2.0**64 else _FINE
