"""From scores to probabilities, and which of them tell the label."""

from __future__ import annotations

from loadonce.convert.graphs.scope import Classified, Scope


def from_probabilities(scope: Scope, probabilities: str) -> Classified:
    """The label is the first of the most probable classes."""
    return Classified(probabilities, probabilities)


def softmaxed(scope: Scope, decision: str) -> Classified:
    """One score for each class; probabilities by softmax."""
    return Classified(decision, scope.g.op("Softmax", decision, axis=1), decision)


def two_sided(scope: Scope, decision: str) -> Classified:
    """One score, positive for the second class; probabilities by the logistic function."""
    g = scope.g
    both = g.concat([g.op("Neg", decision), decision])
    return Classified(both, g.op("Sigmoid", both), decision)


def not_below(scope: Scope, score: str) -> str:
    """The place of the label: the second class where the score `[None, 1]` is 0 or more."""
    g = scope.g
    found = g.op("GreaterOrEqual", score, g.numbers(0.0))
    return g.op("Reshape", g.cast(found, "int64"), g.integers(-1))


def remainder(scope: Scope, share: str) -> str:
    """Both classes' probabilities from the second's, `[None, 1]`: what it leaves is the first's."""
    g = scope.g
    return g.op("Gemm", share, g.numbers([[-1.0, 1.0]]), g.numbers([1.0, 0.0]))


def place(scope: Scope, found: Classified) -> str:
    """The place of the label in `classes_`."""
    return found.label if found.is_place else scope.g.op("ArgMax", found.label, axis=1, keepdims=0)


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
