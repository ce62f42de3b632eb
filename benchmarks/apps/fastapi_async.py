"""The tutorial's FastAPI app: lifespan, `app.state`, a dependency, and `async def`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from .models import assess, load, recognise
from .schemas import Answer, Picture, Row


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.model = load()
    yield
    del app.state.model


app = FastAPI(lifespan=lifespan)


def get_model(request: Request) -> Any:
    return request.app.state.model


@app.post("/predict")
async def predict(row: Row, model: Annotated[Any, Depends(get_model)]) -> Answer:
    return assess(model, [row])[0]


@app.post("/recognise")
async def recognise_picture(picture: Picture, model: Annotated[Any, Depends(get_model)]) -> Answer:
    return recognise(model, [picture])[0]


@app.get("/livez")
async def livez() -> dict[str, str]:
    return {"status": "ok"}
