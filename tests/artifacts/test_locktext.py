"""Every flaw in a lock file is named with its line and field."""

from __future__ import annotations

import pytest

from loadonce.artifacts.locktext import parse
from loadonce.errors import LockFileError

GOOD = f"""lock_version = 1

[artifacts."a.joblib"]
size = 12
sha256 = "{"ab" * 32}"
format = "joblib"
version = "v1"
globals = [
    "numpy.dtype",
]

[artifacts."a.joblib".libraries]
"numpy" = "2.4.6"

[artifacts."a.joblib".golden]
method = "predict"
input = "[1]"
output = "2"
rtol = 1
"""


def test_the_good_one_is_read() -> None:
    entry = parse(GOOD)["a.joblib"]
    assert (entry.size, entry.format, entry.version) == (12, "joblib", "v1")
    assert entry.golden is not None
    assert (entry.golden.input, entry.golden.rtol, entry.golden.atol) == ([1], 1.0, 1e-8)


def test_an_empty_lock_file_vouches_for_nothing() -> None:
    assert parse("lock_version = 1") == {}


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        ("lock_version = 1", "lock_version = 2", "line 1", "lock_version"),
        ("lock_version = 1", "", "field lock_version", "nothing"),
        ("lock_version = 1", "lock_version = 1\nnew = 1", "line 2", "field new"),
        ("size = 12", 'size = "12"', "line 4", "size"),
        ("size = 12", "size = true", "line 4", "size"),
        ("size = 12", "size = -1", "line 4", "size"),
        ("size = 12", "size = 1.5", "line 4", "size"),
        ("size = 12\n", "", "a value", "size"),
        ('"abab', '"ABab', "line 5", "sha256"),
        ('"abab', '"ab', "line 5", "sha256"),
        ('"joblib"', '""', "line 6", "format"),
        ('"joblib"', '"Job Lib"', "line 6", "format"),
        ('"joblib"', "7", "line 6", "format"),
        ('version = "v1"', "version = 3", "line 7", "version"),
        ('version = "v1"', "versoin = 3", "line 7", "versoin"),
        ('globals = [\n    "numpy.dtype",\n]', "globals = 3", "line 8", "globals"),
        ('"numpy.dtype"', '"numpy"', "line 8", "globals"),
        ('"numpy.dtype"', '"numpy.*"', "line 8", "globals"),
        ('"numpy.dtype"', '"a:b:c"', "line 8", "globals"),
        ('"numpy.dtype"', '"a. b"', "line 8", "globals"),
        ('"numpy.dtype"', "1", "line 8", "globals"),
        ('"2.4.6"', "2.4", "line 13", "libraries.numpy"),
        ('method = "predict"\n', "", "line 15", "method"),
        ('"[1]"', '"[1"', "line 17", "input"),
        ('"[1]"', "[1]", "line 17", "input"),
        ('output = "2"', "other = 2", "line 18", "other"),
        ("rtol = 1", "rtol = nan", "line 19", "rtol"),
        ("rtol = 1", "rtol = -1", "line 19", "rtol"),
        ("rtol = 1", "rtol = true", "line 19", "rtol"),
        ("rtol = 1", 'rtol = "1"', "line 19", "rtol"),
        ('"a.joblib"', '"/a.joblib"', "line 3", "absolute"),
        ('"a.joblib"', '"../a.joblib"', "line 3", "'..'"),
        ('"a.joblib"', '"x/../../a.joblib"', "line 3", "'..'"),
        ('"a.joblib"', '"a\\u0000"', "control", "field"),
    ],
)
def test_a_flaw_is_named_with_its_line_and_field(old: str, new: str, line: str, field: str) -> None:
    assert old in GOOD
    with pytest.raises(LockFileError) as caught:
        parse(GOOD.replace(old, new))
    message = str(caught.value)
    assert line in message
    assert field in message
    assert "version control" in message


@pytest.mark.parametrize(
    "text", ["artifacts = 3\nlock_version = 1", "lock_version = 1\n[artifacts]\na = 3"]
)
def test_what_must_be_a_table_must_be_one(text: str) -> None:
    with pytest.raises(LockFileError, match="a table"):
        parse(text)


@pytest.mark.parametrize(
    ("addition", "line"),
    [
        ('[artifacts."a.joblib"]\nsize = 1\n', "line 20"),
        ('[artifacts."b"]\nsize = 1\nsize = 2\n', "line 22"),
        ("rtol = 1\n", "line 20"),
        ("???", "line 20"),
    ],
)
def test_duplicates_and_bad_syntax_are_named_with_their_line(addition: str, line: str) -> None:
    with pytest.raises(LockFileError, match="not valid TOML") as caught:
        parse(GOOD + addition)
    assert line in str(caught.value)
