"""Ray Serve with FastAPI as its ingress. Arguments: port, and the largest batch (1: none).

`max_ongoing_requests` is raised: with the default of 5 it refuses most of 64 clients.
"""

import signal
import sys
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve

from .models import assess, load
from .schemas import Answer, Row

app = FastAPI()


@serve.deployment(max_ongoing_requests=256)
@serve.ingress(app)
class Plain:
    def __init__(self) -> None:
        self.model = load()

    @app.post("/predict")
    async def predict(self, row: Row) -> Answer:
        return assess(self.model, [row])[0]

    @app.get("/livez")
    async def livez(self) -> dict[str, str]:
        return {"status": "ok"}


batched = FastAPI()


@serve.deployment(max_ongoing_requests=256)
@serve.ingress(batched)
class Batched:
    def __init__(self) -> None:
        self.model = load()

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.005)
    async def assess_all(self, rows: list[Row]) -> list[Answer]:
        return assess(self.model, rows)

    @batched.post("/predict")
    async def predict(self, row: Row) -> Answer:
        answer: Answer = await self.assess_all(row)
        return answer

    @batched.get("/livez")
    async def livez(self) -> dict[str, str]:
        return {"status": "ok"}


def main(port: int, max_batch_size: int) -> None:
    ray.init(include_dashboard=False, logging_level="ERROR")
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    deployment: Any = Batched if max_batch_size > 1 else Plain
    serve.run(deployment.bind())
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
