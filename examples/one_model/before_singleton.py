"""The tutorial's third way: a singleton, loaded when first asked. uvicorn before_singleton:app"""

from typing import Annotated, ClassVar, Self

import torch
from fastapi import Depends, FastAPI
from network import Network


class ModelSingleton:
    _instance: ClassVar[Self | None] = None
    network: Network

    def __new__(cls) -> Self:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
            cls._instance.network = Network()
            state = torch.load("models/digits.pt", weights_only=True)
            cls._instance.network.load_state_dict(state)
            cls._instance.network.eval()
        return cls._instance


def get_model() -> Network:
    return ModelSingleton().network


app = FastAPI()


@app.post("/predict")
async def predict(pixels: list[float], network: Annotated[Network, Depends(get_model)]) -> int:
    with torch.inference_mode():
        return int(network(torch.tensor([pixels])).argmax())
