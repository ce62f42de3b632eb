"""A global has one spelling, so that an allowance for one can never be read as another."""

from __future__ import annotations

import pytest

from loadonce.loaders import globalnames


@pytest.mark.parametrize(
    ("module", "name", "spelled"),
    [
        ("os.path", "join", "os.path.join"),
        ("os", "path.join", "os:path.join"),
        ("sklearn.tree._tree", "Tree", "sklearn.tree._tree.Tree"),
        ("häuser", "Fünf", "häuser.Fünf"),
    ],
)
def test_spelling_and_splitting_are_inverse(module: str, name: str, spelled: str) -> None:
    assert globalnames.spell(module, name) == spelled
    assert globalnames.split(spelled) == (module, name)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("", "x"),
        ("os", ""),
        ("a:b", "c"),
        ("a", "b:c"),
        ("a.", "b"),
        ("a b", "c"),
        ("a", "<lambda>"),
        ("a", "f.<locals>.g"),
        ("..a", "b"),
        ("a\n", "b"),
        ("a/b", "c"),
        ("1a", "b"),
    ],
)
def test_what_is_no_name_has_no_spelling(module: str, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a global"):
        globalnames.spell(module, name)


def test_names_of_python_2_have_their_place_in_python_3() -> None:
    assert globalnames.modern("__builtin__", "xrange") == ("builtins", "range")
    assert globalnames.modern("copy_reg", "_reconstructor") == ("copyreg", "_reconstructor")
    assert globalnames.modern("numpy", "dtype") == ("numpy", "dtype")
