"""The tutorial's first way: a module-level dictionary. Run: uvicorn before_dictionary:app"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import torch
from fastapi import FastAPI
from network import Network

ml_models: dict[str, Network] = {}


def load_model() -> Network:
    network = Network()
    network.load_state_dict(torch.load("models/digits.pt", weights_only=True))
    return network.eval()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    ml_models["digits"] = load_model()
    yield
    ml_models.clear()


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
async def predict(pixels: list[float]) -> int:
    with torch.inference_mode():
        return int(ml_models["digits"](torch.tensor([pixels])).argmax())
