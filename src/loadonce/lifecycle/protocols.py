"""Small protocols for objects whose libraries ship no types."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Classifier(Protocol):
    """A fitted classifier with scikit-learn's interface.

    `predict_proba` takes rows of shape (n, features) and returns probabilities of shape
    (n, classes) that sum to 1 in each row; `predict` returns n labels.
    """

    def predict_proba(self, X: Any, /) -> Any: ...
    def predict(self, X: Any, /) -> Any: ...


@runtime_checkable
class Regressor(Protocol):
    """A fitted regressor: `predict` maps rows of shape (n, features) to n values."""

    def predict(self, X: Any, /) -> Any: ...
