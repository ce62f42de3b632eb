"""A converted model with scikit-learn's interface: rows in, labels, probabilities or values out.

Imported with the first converted model, since it imports NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from loadonce.errors import InvalidRowsError
from loadonce.loaders.lane import Lane
from loadonce.loaders.rows import InputMatrix
from loadonce.loaders.signature import INPUT, Signature
from loadonce.loaders.values import FloatArray

if TYPE_CHECKING:
    import onnxruntime as ort

_LABEL, _PROBABILITIES, _VALUE = "label", "probabilities", "value"


def make_predictor(session: ort.InferenceSession) -> Predictor:
    """The predictor of this session. Raises ValueError if it is not that of a converted model."""
    signature = Signature.parse(session.get_modelmeta().custom_metadata_map)
    found = [(each.name, each.type, each.shape[1:]) for each in session.get_inputs()]
    if found != [(INPUT, "tensor(double)", [len(signature.names)])]:
        raise ValueError("the graph's input is not a matrix of the features in its property")
    outputs = {each.name for each in session.get_outputs()}
    if signature.kind == "regressor":
        if _VALUE not in outputs:
            raise ValueError(f"a regressor's graph must have the output '{_VALUE}'")
        return Predictor(session, signature, _VALUE)
    if _PROBABILITIES in outputs:
        return ProbabilityPredictor(session, signature, _PROBABILITIES, _LABEL in outputs)
    if _LABEL not in outputs:
        raise ValueError(f"a classifier's graph must have '{_LABEL}' or '{_PROBABILITIES}'")
    return LabelPredictor(session, signature, _LABEL)


def places(label: Any) -> Any:
    """The place of each row's label among the classes, from the graph's output `label`.

    It has those, (n,), or scores (n, classes), of which the first of the largest is the label's.
    """
    return label if label.ndim == 1 else label.argmax(axis=1)


class Predictor:
    """A converted regressor, and what all converted models have.

    Rows are dicts, pydantic models (or other objects with attributes), sequences, a 2-D array, or a
    table of pandas or pyarrow. By name they may come in any order, and what is no feature is
    ignored; without names they come in the order of training. None and NaN are missing values.
    May be called from several threads at once.

    Attributes:
        n_features_in_: the number of features.
        feature_names_in_: their names in the order of training, (n_features_in_,); only there if
            the model takes rows by name.
    """

    def __init__(self, session: ort.InferenceSession, signature: Signature, output: str) -> None:
        self._session = session
        self._signature = signature
        self._output = output
        self._matrix = InputMatrix(signature)
        self._dtype = np.dtype(signature.value_dtype)
        self._lane = _lane(session, output, len(signature.names))
        self.n_features_in_ = len(signature.names)
        if signature.is_named:
            self.feature_names_in_ = np.array(signature.names, dtype=object)

    def predict(self, X: Any, /) -> Any:
        """n rows -> n values, or for a classifier n labels.

        Raises:
            InvalidRowsError: (a ValueError) rows that do not fit the features, or that the original
                could not answer either. Names rows and features, never a value.
        """
        return self._answer(X).astype(self._dtype).reshape(-1)

    def _answer(self, rows: Any) -> Any:
        """What the graph says of the rows, without NaN; good until this thread's next call."""
        lane = self._lane
        row: Any
        if lane is not None and isinstance(rows, list | tuple) and len(rows) == 1:
            row = self._matrix.numbers(rows)
        else:
            matrix = self._matrix(rows)
            if lane is None or len(matrix) > 1:
                return self._run([self._output], matrix)[0]
            row = matrix[0]
        if math.isnan(lane.ask(row)):
            _refuse_nan(lane.answer)
        return lane.answer

    def _run(self, names: Sequence[str], matrix: FloatArray) -> Any:
        """These outputs of the graph; the last one has no NaN."""
        outputs = self._session.run(names, {INPUT: matrix})
        _refuse_nan(outputs[-1])
        return outputs

    def __repr__(self) -> str:
        return f"<Predictor {self._signature.kind}, {self.n_features_in_} features>"


class LabelPredictor(Predictor):
    """A converted classifier that gives no probabilities, as the original gave none.

    Attributes:
        classes_: the labels, (classes,), of the original's type.
    """

    def __init__(self, session: ort.InferenceSession, signature: Signature, output: str) -> None:
        super().__init__(session, signature, output)
        self.classes_ = np.array(signature.classes, dtype=signature.classes_dtype)

    def predict(self, X: Any, /) -> Any:
        """n rows -> n labels. Raises InvalidRowsError."""
        return self.classes_[places(self._answer(X))]


class ProbabilityPredictor(LabelPredictor):
    """A converted classifier with probabilities, which tell the label unless the graph does."""

    def __init__(
        self, session: ort.InferenceSession, signature: Signature, output: str, has_label: bool
    ) -> None:
        super().__init__(session, signature, output)
        self._has_label = has_label

    def predict(self, X: Any, /) -> Any:
        """n rows -> n labels. Raises InvalidRowsError."""
        if not self._has_label:
            return self.classes_[self._answer(X).argmax(axis=1)]
        return self.classes_[places(self._run([_LABEL, _PROBABILITIES], self._matrix(X))[0])]

    def predict_proba(self, X: Any, /) -> Any:
        """n rows -> probabilities (n, classes), in the order of `classes_`.

        Raises InvalidRowsError.
        """
        return self._answer(X).astype(self._dtype)


def _lane(session: ort.InferenceSession, output: str, features: int) -> Lane | None:
    """For the output, if it is doubles and as wide for every row."""
    (shown,) = [each for each in session.get_outputs() if each.name == output]
    if shown.type != "tensor(double)" or len(shown.shape) != 2 or type(shown.shape[1]) is not int:
        return None
    return Lane(session, output, features, shown.shape[1])


def _refuse_nan(answer: Any) -> None:
    """Raise InvalidRowsError for rows (rows, ...) with a NaN."""
    if np.count_nonzero(answer != answer):  # four times as quick as isnan().any()
        bad = np.flatnonzero(np.isnan(answer.reshape(len(answer), -1)).any(axis=1))
        raise InvalidRowsError(
            f"no answer for {len(bad)} of {len(answer)} rows, the first of them row {bad[0]}: "
            "the model does not take the values that are missing there"
        )
