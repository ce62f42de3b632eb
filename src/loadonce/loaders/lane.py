"""One row at a time through a session, without making anew what every call needs.

`InferenceSession.run` looks names up and makes tensors for each call, which takes a fifth of the
time that one row of a small graph does.
"""

from __future__ import annotations

import threading
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from loadonce.loaders.signature import INPUT

if TYPE_CHECKING:
    import onnxruntime as ort


class Lane(threading.local):
    """Memory that the graph reads a row from and writes its answer to; other threads have others.

    Args:
        session: whose input is a matrix of doubles, and this output too.
        output: the output's name.
        features: numbers in a row.
        answers: numbers in an answer.

    Attributes:
        answer: of the last call, (1, answers); the next one overwrites it.
    """

    def __init__(
        self, session: ort.InferenceSession, output: str, features: int, answers: int
    ) -> None:
        self._run = session.run_with_iobinding
        self._row, self._numbers = _zeros(features), _zeros(answers)
        self._place = memoryview(self._row)
        self.answer: Any = np.frombuffer(self._numbers).reshape(1, answers)
        self._binding = session.io_binding()
        row, numbers = self._row.buffer_info()[0], self._numbers.buffer_info()[0]
        self._binding.bind_input(INPUT, "cpu", 0, np.float64, (1, features), row)
        self._binding.bind_output(output, "cpu", 0, np.float64, (1, answers), numbers)

    def ask(self, row: Any) -> float:
        """Fill `answer`; returns the sum of its numbers, which is NaN if one of them is.

        Args:
            row: doubles, (features,), in any contiguous memory.
        """
        self._place[:] = row
        self._run(self._binding)
        return sum(self._numbers)


def _zeros(count: int) -> array[float]:
    return array("d", bytes(8 * count))
