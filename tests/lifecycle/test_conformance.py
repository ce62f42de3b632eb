"""Declared types and golden examples: what fits, what does not, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from loadonce import Classifier, Golden, Model, Registry, Regressor, artifact
from loadonce.lifecycle.conformance import (
    golden_mismatch,
    missing_from,
    missing_from_each,
    name_of_type,
)


class Plain(Protocol):
    def predict(self, X: Any, /) -> Any: ...


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (Classifier, LogisticRegression()),
        (Regressor, LinearRegression()),
        (Plain, LinearRegression()),
        (Classifier, make_pipeline(LogisticRegression())),
        (Mapping[str, Regressor], {"a": LinearRegression()}),
        (dict[str, int], {"a": 1}),
        (list[int], [1]),
        (int | None, None),
        (object, 1),
        (Any, 1),
    ],
)
def test_what_fits(declared: object, value: object) -> None:
    assert missing_from(declared, value) == ""


@pytest.mark.parametrize(
    ("declared", "value", "lack"),
    [
        (Classifier, LinearRegression(), "without predict_proba"),
        (Classifier, make_pipeline(LinearRegression()), "a Pipeline without predict_proba"),
        (Mapping[str, Classifier], {"q05": LinearRegression()}, "under 'q05' a LinearRegression"),
        (dict[str, int], [], "a builtins.list"),
        (int, "x", "a builtins.str"),
        (int | list[int], "x", "a builtins.str"),
    ],
)
def test_what_does_not(declared: object, value: object, lack: str) -> None:
    assert lack in missing_from(declared, value)


def test_names_of_types() -> None:
    assert name_of_type(Classifier) == "Classifier"
    assert name_of_type(Mapping[str, Classifier]) == "Mapping"


class Base(Registry):
    a: Model[dict[str, int]] = artifact("a.json")
    unknown: Model[known_to_checkers.Thing] = artifact("b.json")  # type: ignore[name-defined]  # noqa: F821


class Derived(Base):
    c: Model[list[int]] = artifact("c.json")
    plain = artifact("d.json")  # type: ignore[var-annotated]


def test_the_declared_type_is_that_of_the_annotation_where_it_can_be_told() -> None:
    """One name that only checkers know leaves the others' types as they are."""
    models = Derived()
    assert {model.name: model.slot.declared_type() for model in models} == {
        "a": dict[str, int],
        "unknown": object,
        "c": list[int],
        "plain": object,
    }


class Answers:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def predict(self, _input: object) -> object:
        return self.answer

    __call__ = predict


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ([[0.25, 0.75]], np.array([[0.25, 0.75 + 1e-9]])),
        ({"a": [1, "x", None, True]}, {"a": (1, "x", None, True)}),
        ("text", "text"),
        (3, 3.0),
        ([1.5], [np.float64(1.5)]),
    ],
)
def test_a_golden_example_that_comes_out(expected: object, found: object) -> None:
    assert golden_mismatch(Golden("predict", [], expected), Answers(found)) == ""
    assert golden_mismatch(Golden("", [], expected), Answers(found)) == ""


@pytest.mark.parametrize(
    ("expected", "found", "told"),
    [
        ([[0.25, 0.75]], [[0.25, 0.76]], "output[0][1]: expected 0.75, found 0.76"),
        ([1.0], [float("nan")], "found nan"),
        ([1, 2], [1], "expected 2 items, found 1"),
        ([1], "1", "found a str"),
        ([1], 1, "found a int"),
        ({"a": 1}, {"b": 1}, "other keys"),
        ({"a": 1}, [1], "other keys"),
        ("x", "y", "another value or type"),
        ("x", 1, "another value or type"),
    ],
)
def test_a_golden_example_that_does_not(expected: object, found: object, told: str) -> None:
    assert told in golden_mismatch(Golden("predict", [], expected), Answers(found))


@pytest.mark.parametrize(
    ("declared", "kind", "lack"),
    [
        (dict, Pipeline, "a sklearn.pipeline.Pipeline"),
        (dict[str, int], Pipeline, "a sklearn.pipeline.Pipeline"),
        (dict | list, Pipeline, "a sklearn.pipeline.Pipeline"),
        (str, dict, "a builtins.dict"),
        (Pipeline | None, Pipeline, ""),
        (Mapping[str, int], dict, ""),
        (Classifier, LinearRegression, ""),  # its objects may have what the class has not
        (object, Pipeline, ""),
        (Any, Pipeline, ""),
    ],
)
def test_a_class_is_refused_where_none_of_its_objects_fits(
    declared: object, kind: type, lack: str
) -> None:
    assert missing_from_each(declared, kind) == lack
