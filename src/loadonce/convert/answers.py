"""The original and its graph, asked the same rows: labels, and probabilities or values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadonce.convert.model import MISSING_TEXT, Unconvertible
from loadonce.convert.rows import Rows

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
    """The graph in onnxruntime, on one thread."""

    def __init__(self, graph: Graph) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(
                graph.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:
            raise Unconvertible(f"onnxruntime does not load the graph: {exc}") from exc
        self._names = [feature.name for feature in graph.features]
        self._named = graph.named

    def answers(self, rows: Rows, batch: int = 0) -> Answers:
        """Ask all at once, or `batch` rows at a time."""
        step = batch or max(1, len(rows))
        starts = range(0, len(rows), step)
        return _joined([self._ask(rows.take(slice(at, at + step))) for at in starts])

    def _ask(self, rows: Rows) -> Answers:
        import numpy as np

        outputs = [output.name for output in self._session.get_outputs()]
        found: dict[str, Any]
        found = dict(zip(outputs, self._session.run(outputs, self._fed(rows)), strict=True))
        numbers = found.get("value", found.get("probabilities"))
        if numbers is None:
            numbers = np.zeros((len(rows), 0))
        return Answers(
            found.get("label"), np.asarray(numbers, dtype=np.float64).reshape(len(rows), -1)
        )

    def _fed(self, rows: Rows) -> dict[str, NDArray[Any]]:
        import numpy as np

        if not self._named:
            return {"X": np.column_stack(rows.columns).astype(np.float64)}
        return {
            name: _fed_column(column).reshape(-1, 1)
            for name, column in zip(self._names, rows.columns, strict=True)
        }


def _as_trained(column: NDArray[Any]) -> NDArray[Any]:
    """With NaN for missing texts, as pandas reads them."""
    import numpy as np

    if column.dtype != object:
        return column
    return np.array([np.nan if text is None else text for text in column], dtype=object)


def _fed_column(column: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    if column.dtype != object:
        return column
    return np.array([MISSING_TEXT if text is None else text for text in column], dtype=object)


def _joined(parts: Sequence[Answers]) -> Answers:
    import numpy as np

    labels = [part.labels for part in parts if part.labels is not None]
    return Answers(
        np.concatenate(labels) if labels else None,
        np.concatenate([part.numbers for part in parts] or [np.zeros((0, 0))]),
    )
