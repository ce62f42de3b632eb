"""From scores to probabilities and the place of the label among the classes."""

from __future__ import annotations

from loadonce.convert.graphs.scope import Classified, Scope


def from_probabilities(scope: Scope, probabilities: str) -> Classified:
    """The label is the first of the most probable classes."""
    return Classified(first_of_largest(scope, probabilities), probabilities)


def softmaxed(scope: Scope, decision: str) -> Classified:
    """One score for each class; probabilities by softmax."""
    index = first_of_largest(scope, decision)
    return Classified(index, scope.g.op("Softmax", decision, axis=1), decision)


def two_sided(scope: Scope, decision: str) -> Classified:
    """One score, positive for the second class; probabilities by the logistic function."""
    g = scope.g
    both = g.concat([g.op("Neg", decision), decision])
    return Classified(above(scope, decision, 0.0), g.op("Sigmoid", both), decision)


def above(scope: Scope, score: str, threshold: float) -> str:
    """The second class where the score `[None, 1]` is above the threshold."""
    g = scope.g
    found = g.op("Greater", score, g.numbers(threshold))
    return g.op("Reshape", g.cast(found, "int64"), g.integers(-1))


def first_of_largest(scope: Scope, scores: str) -> str:
    """The place of the largest score in each row; of the first, where several are."""
    return scope.g.op("ArgMax", scores, axis=1, keepdims=0)


def shared_out(scope: Scope, each: str, classes: int) -> str:
    """Positive scores divided by their sum; all the same where that is 0."""
    g = scope.g
    total = g.op("ReduceSum", each, g.integers(1))
    shares = g.op("Div", each, total)
    nothing = g.op("Equal", total, g.numbers(0.0))
    return g.op("Where", nothing, g.numbers(1.0 / classes), shares)


def expit(scope: Scope, score: str) -> str:
    """The logistic function, small values to the last digit, which the operator is not."""
    g = scope.g
    return g.op("Reciprocal", g.op("Add", g.op("Exp", g.op("Neg", score)), g.numbers(1.0)))
