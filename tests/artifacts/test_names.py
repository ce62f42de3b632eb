"""One file has one name: relative, plain, below the root."""

from __future__ import annotations

import pytest

from loadonce.artifacts.names import problem_with


@pytest.mark.parametrize(
    "path", ["a", "a.joblib", "models/a b.onnx", "..data", "a..b", "häß/ü.json"]
)
def test_plain_relative_paths_are_accepted(path: str) -> None:
    assert problem_with(path) == ""


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("../x", "'..'"),
        ("a/../b", "'..'"),
        ("a/..", "'..'"),
        ("./a", "'.'"),
        ("a//b", "empty"),
        ("a/", "empty"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\x7fb", "control"),
        ("a\udcff", "UTF-8"),
        ("a\\b", "backslash"),
        ("C:\\x", "backslash"),
    ],
)
def test_every_other_spelling_is_refused_with_its_reason(path: str, word: str) -> None:
    assert word in problem_with(path)
