"""The tutorial's way: a registry of one's own, filled in the lifespan, read by dependencies.

Run: uvicorn before:app
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import joblib
from fastapi import Depends, FastAPI, HTTPException, Request


class ModelRegistry:
    def __init__(self) -> None:
        self.models: dict[str, Any] = {}

    def load(self, name: str, path: str, *, required: bool) -> None:
        try:
            self.models[name] = joblib.load(path)
        except Exception:
            if required:
                raise

    def get(self, name: str) -> Any:
        if name not in self.models:
            raise HTTPException(503, f"model {name} is not available")
        return self.models[name]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    registry = ModelRegistry()
    registry.load("cultivar", "models/cultivar.joblib", required=True)
    registry.load("progression", "models/progression.joblib", required=False)
    app.state.registry = registry
    yield
    registry.models.clear()


app = FastAPI(lifespan=lifespan)


def get_cultivar(request: Request) -> Any:
    return request.app.state.registry.get("cultivar")


def get_progression(request: Request) -> Any:
    return request.app.state.registry.get("progression")


@app.post("/cultivar")
async def cultivar(
    alcohol: float, proline: float, model: Annotated[Any, Depends(get_cultivar)]
) -> str:
    return str(model.predict([[alcohol, proline]])[0])


@app.post("/progression")
async def progression(
    age: float, bmi: float, model: Annotated[Any, Depends(get_progression)]
) -> float:
    return float(model.predict([[age, bmi]])[0])
