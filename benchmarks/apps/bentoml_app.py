"""BentoML, with and without adaptive batching."""

import bentoml

from .models import assess, load
from .schemas import Answer, Row

QUIET = {"access": {"enabled": False}}


@bentoml.service(workers=1, logging=QUIET)
class Plain:
    def __init__(self) -> None:
        self.model = load()

    @bentoml.api
    def predict(self, row: Row) -> Answer:
        return assess(self.model, [row])[0]


@bentoml.service(workers=1, logging=QUIET)
class Adaptive:
    def __init__(self) -> None:
        self.model = load()

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def predict(self, rows: list[Row]) -> list[Answer]:
        return assess(self.model, rows)
