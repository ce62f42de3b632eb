"""The original and its graph, asked the same rows: labels, and probabilities or values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadonce.convert.model import Unconvertible
from loadonce.convert.rows import Rows
from loadonce.convert.stamping import described
from loadonce.loaders.signature import INPUT, PROPERTY, Signature

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loadonce.convert.model import Graph


@dataclass(frozen=True, slots=True)
class Answers:
    """One answer for each row.

    Args:
        labels: of a classifier, else None.
        numbers: (rows, classes) probabilities, or (rows, 1) values; (rows, 0) for a classifier
            that gives no probabilities.
    """

    labels: NDArray[Any] | None
    numbers: NDArray[np.float64]

    def take(self, indexes: NDArray[Any] | slice) -> Answers:
        labels = None if self.labels is None else self.labels[indexes]
        return Answers(labels, self.numbers[indexes])


class Original:
    """The fitted estimator, given rows as it was trained: a frame by name, or an array."""

    def __init__(self, estimator: Any, graph: Graph) -> None:
        self.estimator = estimator
        self._names = [feature.name for feature in graph.features]
        self._is_classifier = graph.kind == "classifier"
        self._by_name = hasattr(estimator, "feature_names_in_")

    def given(self, rows: Rows) -> Any:
        """The rows as the estimator takes them."""
        import numpy as np

        if self._by_name:
            import pandas as pd

            return pd.DataFrame(dict(zip(self._names, map(_as_trained, rows.columns), strict=True)))
        is_text = any(column.dtype == object for column in rows.columns)
        columns = [_as_trained(column) for column in rows.columns]
        return np.column_stack(columns).astype(object if is_text else np.float64, copy=False)

    def answers(self, rows: Rows) -> Answers:
        """Raises what the estimator raises."""
        import numpy as np

        given = self.given(rows)
        said = np.asarray(self.estimator.predict(given))
        if not self._is_classifier:
            return Answers(None, said.astype(np.float64).reshape(len(rows), -1))
        if not hasattr(self.estimator, "predict_proba"):
            return Answers(said, np.zeros((len(rows), 0)))
        probabilities = np.asarray(self.estimator.predict_proba(given), dtype=np.float64)
        return Answers(said, probabilities.reshape(len(rows), -1))

    def answers_to_all(self, rows: Rows) -> tuple[NDArray[np.bool_], Answers]:
        """Which rows it answers, and its answers to those. What it refuses is found by halving."""
        import numpy as np

        keep = np.zeros(len(rows), dtype=bool)
        found: list[Answers] = []
        todo = [(0, len(rows))]
        while todo:
            start, end = todo.pop()
            try:
                found.append(self.answers(rows.take(slice(start, end))))
                keep[start:end] = True
            except MemoryError:
                raise
            except Exception:  # whatever it raises, it gives no answer
                middle = (start + end) // 2
                todo += [(middle, end), (start, middle)] if end - start > 1 else []
        return keep, _joined(found)


class Converted:
    """The graph in onnxruntime, on one thread, given rows as its predictor gives them."""

    def __init__(self, graph: Graph) -> None:
        import numpy as np
        import onnxruntime as ort

        from loadonce.loaders.rows import InputMatrix

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(
                graph.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:
            raise Unconvertible(f"onnxruntime does not load the graph: {exc}") from exc
        stated = {**described(graph), "parity": {"refuses": {}}}
        self._matrix = InputMatrix(Signature.parse({PROPERTY: json.dumps(stated)}))
        self._classes = np.array(graph.classes, dtype=graph.classes_dtype)

    def answers(self, rows: Rows) -> Answers:
        """Ask all at once."""
        if not len(rows):
            return _joined([])
        return self._ask(self._matrix.of_columns(rows.columns))

    def answers_one_by_one(self, rows: Rows) -> Answers:
        """Ask each alone, given as a row and not as columns."""
        values = zip(*(column.tolist() for column in rows.columns), strict=True)
        return _joined([self._ask(self._matrix([row])) for row in values])

    def _ask(self, matrix: NDArray[np.float64]) -> Answers:
        import numpy as np

        from loadonce.loaders.predicting import places

        outputs = [output.name for output in self._session.get_outputs()]
        found: dict[str, Any]
        found = dict(zip(outputs, self._session.run(outputs, {INPUT: matrix}), strict=True))
        numbers = found.get("value", found.get("probabilities"))
        telling = found.get("label", found.get("probabilities"))
        if numbers is None:
            numbers = np.zeros((len(matrix), 0))
        return Answers(
            None if telling is None else self._classes[places(telling)],
            np.asarray(numbers, dtype=np.float64).reshape(len(matrix), -1),
        )


def _as_trained(column: NDArray[Any]) -> NDArray[Any]:
    """With NaN for missing texts, as pandas reads them."""
    import numpy as np

    if column.dtype != object:
        return column
    return np.array([np.nan if text is None else text for text in column], dtype=object)


def _joined(parts: Sequence[Answers]) -> Answers:
    import numpy as np

    labels = [part.labels for part in parts if part.labels is not None]
    return Answers(
        np.concatenate(labels) if labels else None,
        np.concatenate([part.numbers for part in parts] or [np.zeros((0, 0))]),
    )
