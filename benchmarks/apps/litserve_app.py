"""LitServe. Arguments: port, and the largest batch (1: none)."""

import sys
from typing import Any

import litserve

from .models import assess, load, recognise
from .schemas import Answer, Picture, Row

WAIT_SECONDS = 0.005  # how long LitServe's documentation lets a batch gather


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = load()

    def predict(self, x: Any) -> Any:
        return assess(self.model, x) if isinstance(x, list) else assess(self.model, [x])[0]

    def decode_request(self, request: Row) -> Row:
        return request

    def encode_response(self, output: Answer) -> Answer:
        return output


class PictureApi(Api):
    def predict(self, x: Any) -> Any:
        return recognise(self.model, x) if isinstance(x, list) else recognise(self.model, [x])[0]

    def decode_request(self, request: Picture) -> Picture:  # type: ignore[override]
        return request


def main(port: int, max_batch_size: int, workload: str) -> None:
    kind = PictureApi if workload == "cnn" else Api
    wait = WAIT_SECONDS if max_batch_size > 1 else 0.0
    api = kind(max_batch_size=max_batch_size, batch_timeout=wait)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        port=port,
        host="127.0.0.1",
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
