"""A conversion under way: the graph, the features, the step it is at, and who converts what."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from loadonce.convert.graphs.building import Builder
from loadonce.convert.graphs.columns import Column, Columns, Input, gathered, lacks
from loadonce.convert.model import FeatureType, Unconvertible
from loadonce.loaders.codes import MISSING

HARMLESS = frozenset(
    {
        *("__module__", "__doc__", "__init__", "__qualname__", "__annotations__", "__dict__"),
        *("__weakref__", "__slots__", "__firstlineno__", "__static_attributes__", "__repr__"),
        *("__abstractmethods__", "_abc_impl", "__parameters__", "__orig_bases__"),
        *("__annotate_func__", "__annotations_cache__", "_sklearn_auto_wrap_output_keys"),
        *("_parameter_constraints", "fit", "partial_fit", "score", "set_params"),
    }
)
"""What a subclass may define and still answer as its parent does."""


@dataclass(frozen=True, slots=True)
class Classified:
    """A classifier's answers.

    Args:
        label: a score for each class, `[None, n_classes]`, of which the first of the largest is the
            label's; or with `is_place` the label's place in `classes_`, int64 `[None]`.
        probabilities: `[None, n_classes]`, or None where the original gives none.
        decision: the decision function, `[None, 1]` or `[None, n_classes]`, or None.
        is_place: see `label`.
    """

    label: str
    probabilities: str | None = None
    decision: str | None = None
    is_place: bool = False


T = TypeVar("T")
Transformer = Callable[["Scope", Any, Columns], Columns]
Classifier = Callable[["Scope", Any, Columns], Classified]
Regressor = Callable[["Scope", Any, Columns], str]


@dataclass(frozen=True, slots=True)
class Tables:
    """Who converts what, by `package.Class`."""

    transformers: Mapping[str, Transformer]
    classifiers: Mapping[str, Classifier]
    regressors: Mapping[str, Regressor]


class Scope:
    """What the functions that convert one class each share.

    Args:
        tables: who converts what.
        inputs: the features.
    """

    def __init__(self, tables: Tables, inputs: Sequence[Input]) -> None:
        self.g = Builder()
        self.inputs = inputs
        self.refusals: dict[str, None] = {}
        """Tensors `[None, 1]` that are NaN for rows that the original refuses, else 0."""
        self._tables = tables
        self._path: list[str] = []

    def transform(self, name: str, estimator: Any, columns: Columns) -> Columns:
        """What `estimator.transform` gives; `name` is its step's, for messages."""
        with self._step(name, estimator):
            return self._found(self._tables.transformers, estimator)(self, estimator, columns)

    def classify(self, name: str, estimator: Any, columns: Columns) -> Classified:
        """What `estimator.predict` and its other methods give."""
        with self._step(name, estimator):
            return self._found(self._tables.classifiers, estimator)(self, estimator, columns)

    def regress(self, name: str, estimator: Any, columns: Columns) -> str:
        """What `estimator.predict` gives, as a tensor `[None, 1]`."""
        with self._step(name, estimator):
            return self._found(self._tables.regressors, estimator)(self, estimator, columns)

    def refusal(self, reason: str) -> Unconvertible:
        """The error to raise: the step, its class, the reason."""
        return Unconvertible(f"{' > '.join(self._path)}: {reason}")

    def numbers(self, columns: Columns) -> str:
        """The columns as one tensor of doubles; features among them are numbers from now on."""
        for column in columns:
            self.use(column.feature, "number")
        if not columns:
            raise self.refusal("it is given no columns")
        return gathered(self.g, columns)

    def use(self, feature: int | None, type: FeatureType) -> None:
        """Say what a feature is; it cannot be both."""
        if feature is None:
            return
        found = self.inputs[feature]
        if found.type not in (None, type):
            raise self.refusal(f"feature '{found.name}' is used both as text and as a number")
        found.type = type

    def code(self, feature: int, text: str | None) -> float:
        """What stands in the matrix for this text of a feature, which is told from others now on.

        None is the missing text.
        """
        if text is None:
            return MISSING
        texts = self.inputs[feature].texts
        return float(texts.setdefault(text, len(texts)))

    def refuse(self, tensor: str) -> None:
        """Refuse the rows where `tensor`, `[None, 1]`, is NaN; elsewhere it is 0."""
        self.refusals[tensor] = None

    def refuse_missing(self, columns: Columns) -> None:
        """Refuse the rows with a NaN in `columns`, as a step does that takes none."""
        if lacks(columns):
            self.refuse_nan(self.numbers(columns), len(columns))

    def refuse_nan(self, tensor: str, width: int) -> None:
        """Refuse the rows with a NaN in `tensor`, `[None, width]`."""
        zeros = self.g.op("Mul", tensor, self.g.numbers(0.0))
        many = width > 1
        self.refuse(self.g.op("ReduceSum", zeros, self.g.integers(1)) if many else zeros)

    def answered(self, tensor: str) -> str:
        """`tensor`, NaN in the rows that are refused."""
        for each in self.refusals:
            tensor = self.g.op("Add", tensor, each)
        return tensor

    def trace(self, column: Column, thresholds: Iterable[float]) -> None:
        """Note that answers may jump where `column` passes `thresholds`."""
        if column.origin is not None:
            finite = (float(value) for value in thresholds if math.isfinite(value))
            self.inputs[column.origin].thresholds.update(finite)

    @contextmanager
    def _step(self, name: str, estimator: Any) -> Iterator[None]:
        kind = type(estimator).__name__
        self._path.append(f"{name} ({kind})" if name else kind)
        try:
            yield
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as exc:
            reason = f"it is not as this release expects it ({type(exc).__name__}: {exc})"
            raise self.refusal(reason) from exc
        self._path.pop()

    def _found(self, table: Mapping[str, T], estimator: Any) -> T:
        added: set[str] = (
            set(vars(estimator)) & _CALLED if hasattr(estimator, "__dict__") else set()
        )
        for kind in type(estimator).__mro__:
            key = f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"
            if key in table:
                if added:
                    names = ", ".join(sorted(added))
                    raise self.refusal(f"it is a {kind.__name__} of its own making: {names}")
                return table[key]
            added |= {name for name in vars(kind) if not _is_harmless(name)}
        raise self.refusal("there is no conversion for this class")


def _is_harmless(name: str) -> bool:
    """Metadata routing gives every subclass methods of its own, too."""
    return name in HARMLESS or (name.startswith("set_") and name.endswith("_request"))


_CALLED = {"predict", "predict_proba", "decision_function", "transform"}
