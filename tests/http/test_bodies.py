"""Which JSON bodies are refused, and that nothing wrong passes the quick look."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadonce.http.bodies import (
    MOST_DEPTH,
    doubt_about_text,
    inspect,
    is_suspicious,
    is_too_deep,
    non_finite,
    walk,
)

ORDINARY = [
    b"",
    b"{}",
    b'{"glucose": 148, "bmi": 33.6, "sex": "male", "note": "no information on nanoparticles"}',
    b'[{"x": 1.25e-10}, {"x": -1e99}, {"x": 123456789012345678}]',
    '{"name": "Zoë 김 😀"}'.encode(),
    json.dumps({"image": "iVBORw0KGgo" * 100}).encode(),
]

REFUSED = [
    (b'{"x": NaN}', ("body", "x"), "finite_number"),
    (b'{"x": [0, -Infinity]}', ("body", "x", 1), "finite_number"),
    (b"Infinity", ("body",), "finite_number"),
    (b"NaN", ("body",), "finite_number"),
    (b'{"x": 1e400}', ("body", "x"), "finite_number"),
    (b'{"x":-1.5E+999}', ("body", "x"), "finite_number"),
    (b'{"x": 1' + b"0" * 400 + b".0}", ("body", "x"), "finite_number"),
    (b'{"x": {"y": "\\ud800"}}', ("body", "x", "y"), "string_unicode"),
    (b'["a\\udfffb"]', ("body", 0), "string_unicode"),
    (b'{"\\ud800": 1}', ("body", "\ud800"), "string_unicode"),
    (b'{"\\ud800": 1.5}', ("body", "\ud800"), "string_unicode"),
]

DOUBTFUL = [
    (b'{"x": "nan"}', "finite_number"),
    (b'{"x": " -Infinity "}', "finite_number"),
    (b'{"x": "\\u006ean"}', "finite_number"),
    (b'{"x": "1e400"}', "finite_number"),
    (b'{"x": "1_0e4_00"}', "finite_number"),
    (b'{"x": "' + b"9" * 5000 + b'"}', "finite_number"),
    (b'{"x": 18446744073709551616}', "int_size"),
    (b'{"x": "99999999999999999999"}', "int_size"),
    (b'{"x": "a\\u0000b"}', "string_nul"),
]

UNREADABLE = [
    '{"x": 1}'.encode("utf-16"),
    '{"x": 1}'.encode("utf-32-be"),
    b'{"x": "a\x00b"}',
    b'{"x": "\xed\xa0\x80"}',
]


@pytest.mark.parametrize("body", ORDINARY)
def test_an_ordinary_body_is_not_looked_at_closely(body: bytes) -> None:
    assert not is_suspicious(body)
    assert not is_too_deep(body)


@pytest.mark.parametrize(("body", "path", "rule"), REFUSED)
def test_an_impossible_value_is_found_and_placed(
    body: bytes, path: tuple[object, ...], rule: str
) -> None:
    assert is_suspicious(body)
    found = inspect(body)
    assert [(one.path, one.rule) for one in found.refused] == [(path, rule)]
    assert not found.unreadable


@pytest.mark.parametrize(("body", "rule"), DOUBTFUL)
def test_a_value_hard_on_numbers_is_doubted_but_let_through(body: bytes, rule: str) -> None:
    assert is_suspicious(body)
    found = inspect(body)
    assert [(one.path, one.rule) for one in found.doubtful] == [(("body", "x"), rule)]
    assert not found.refused


@pytest.mark.parametrize("body", UNREADABLE)
def test_only_utf_8_is_read(body: bytes) -> None:
    assert is_suspicious(body)
    assert "UTF-8" in inspect(body).unreadable


@pytest.mark.parametrize("body", [b'{"x": NaN', b"NaN" + b"[" * 100_000, b'{"x": \xffNaN}'])
def test_what_is_no_json_is_left_to_the_parser(body: bytes) -> None:
    assert inspect(body) == inspect(b"{")
    assert inspect(body).value is None


def test_an_integer_of_thousands_of_digits_is_refused() -> None:
    body = b'{"x": ' + b"9" * 5000 + b"}"
    assert is_suspicious(body)
    assert "too many digits" in inspect(body).unreadable


def test_non_finite_numbers_pass_where_they_are_allowed() -> None:
    found = inspect(b'{"x": NaN, "y": "inf", "z": "\\ud800"}', allow_non_finite=True)
    assert [one.path for one in found.refused] == [("body", "z")]
    assert not found.doubtful


def test_a_million_bad_values_are_told_by_a_few() -> None:
    assert len(inspect(b"[" + b",".join([b"NaN"] * 1000) + b"]").refused) == 32
    assert len(non_finite([math.nan] * 1000)) == 32


def test_a_pair_of_surrogates_is_a_character() -> None:
    body = json.dumps({"x": "😀"}).encode()
    assert is_suspicious(body)  # escaped, so looked at
    assert inspect(body).refused == ()


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_depth_is_counted_exactly(pair: str, extra: int) -> None:
    depth = MOST_DEPTH + extra
    opening = "[" if pair == "[]" else '{"x":'
    body = (opening * depth + "1" + pair[1] * depth).encode()
    assert is_too_deep(body) is bool(extra)


def test_many_flat_rows_are_not_deep() -> None:
    rows = json.dumps([{"x": [1, {"y": "]]}}"}], "z": 'a"[[[{'}] * 1000).encode()
    assert not is_too_deep(rows)


def test_brackets_in_texts_neither_add_nor_take_depth() -> None:
    depth = MOST_DEPTH + 10
    hidden = b'["]]",' * depth + b"1" + b"]" * depth
    assert is_too_deep(hidden)
    assert not is_too_deep(b'"' + b"[" * 1000 + b'"')


def test_a_quarter_million_brackets_are_refused() -> None:
    assert is_too_deep(b"[" * 250_000)
    assert is_too_deep(b'{"a":' * 250_000)
    assert is_too_deep(b"[" * 250_000 + b"]" * 250_000)


def test_a_few_brackets_too_many_are_left_to_the_parser() -> None:
    assert not is_too_deep(b"[" + b"{}," * 100)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("nan", "finite_number"),
        ("nancy", ""),
        ("1e", ""),
        ("fat", ""),
        ("12", ""),
        ("1e30", ""),
        ("+inf", "finite_number"),
        ("\x00", "string_nul"),
        ("-99999999999999999999", "int_size"),
    ],
)
def test_texts_that_are_numbers_to_a_lenient_parser(text: str, rule: str) -> None:
    assert doubt_about_text(text)[0] == rule


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.sampled_from(["nan", "Inf", "1e999", "\x00", "\ud800", "9" * 400]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=()), max_size=3), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(json_values, st.booleans(), st.sampled_from([None, 1]))
def test_nothing_is_found_in_a_body_that_the_quick_look_passes(
    value: Any, is_ascii: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)
    body = text.encode("utf-8", "surrogatepass")
    if is_suspicious(body):
        return
    found = inspect(body)
    assert (found.unreadable, found.refused, found.doubtful) == ("", (), ())


@given(json_values)
def test_each_place_found_leads_to_its_value(value: Any) -> None:
    for path, key, item in walk(value):
        node: Any = {"body": value}
        for step in (*path, key):
            node = node[step]
        assert node is item


@given(json_values)
def test_depth_agrees_with_a_count_by_hand(value: Any) -> None:
    def depth(node: Any) -> int:
        if isinstance(node, dict):
            return 1 + max((depth(item) for item in node.values()), default=0)
        return 1 + max(map(depth, node), default=0) if isinstance(node, list) else 0

    for _ in range(60):
        value = [value, "]"]
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert is_too_deep(body) is (depth(value) > MOST_DEPTH)
