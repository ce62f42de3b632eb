"""The tutorial's second way: a manager class. Run: uvicorn before_manager:app"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import torch
from fastapi import FastAPI, HTTPException
from network import Network


class ModelManager:
    def __init__(self) -> None:
        self.model: Network | None = None

    async def load_model(self) -> None:
        self.model = Network()
        self.model.load_state_dict(torch.load("models/digits.pt", weights_only=True))
        self.model.eval()

    def predict(self, pixels: list[float]) -> int:
        if self.model is None:
            raise HTTPException(503, "model not loaded")
        with torch.inference_mode():
            return int(self.model(torch.tensor([pixels])).argmax())

    async def close(self) -> None:
        self.model = None


manager = ModelManager()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await manager.load_model()
    yield
    await manager.close()


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
async def predict(pixels: list[float]) -> int:
    return manager.predict(pixels)
