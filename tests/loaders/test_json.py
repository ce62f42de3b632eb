"""JSON is read strictly."""

from __future__ import annotations

from typing import Any

import pytest

from loadonce.errors import LoaderFailedError


def test_documents_load(shelf: Any) -> None:
    shelf.put("a.json", '{"a": [1, 2.5, "ü", null, true, {}]}'.encode())
    assert shelf.load("a.json") == {"a": [1, 2.5, "ü", None, True, {}]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' occurs twice"),
        (b'[{"x": {"b": 1, "b": 1}}]', "the key 'b' occurs twice"),
        (b"NaN", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"\xff", "UnicodeDecodeError"),
        ("{}".encode("utf-16"), "UnicodeDecodeError"),
        (b"", "JSONDecodeError"),
        (b"[" * 10**6, "RecursionError"),
    ],
)
def test_what_is_not_strict_json_is_refused(shelf: Any, content: bytes, words: str) -> None:
    shelf.put("a.json", content)
    with pytest.raises(LoaderFailedError, match=words):
        shelf.load("a.json")


def test_numbers_that_are_not_finite_can_be_allowed(shelf: Any) -> None:
    shelf.put("a.json", b"[Infinity, -Infinity]")
    assert shelf.load("a.json", allow_nan=True) == [float("inf"), float("-inf")]
