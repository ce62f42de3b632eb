"""The tutorial's way: load in a thread, never block the start, handle errors by hand.

Run: uvicorn before:app
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import joblib
from fastapi import FastAPI, HTTPException

state: dict[str, Any] = {"model": None, "error": None}


async def load_in_background() -> None:
    try:
        state["model"] = await asyncio.to_thread(joblib.load, "models/iris.joblib")
    except FileNotFoundError:
        state["error"] = "model file is missing"
    except Exception as error:
        state["error"] = f"model file cannot be read: {error}"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    task = asyncio.create_task(load_in_background())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/species")
async def find(petal_length: float, petal_width: float) -> str:
    if state["error"]:
        raise HTTPException(500, state["error"])
    if state["model"] is None:
        raise HTTPException(503, "model is loading")
    return str(state["model"].predict([[petal_length, petal_width]])[0])
