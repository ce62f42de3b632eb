"""VitalCheck's artifacts in the tutorial's app: eight models and two tables in `app.state`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import joblib
import numpy as np
import onnxruntime
import pandas as pd
from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel

ARTIFACTS = Path(os.environ["BENCH_VITALCHECK"])
PIPELINES = ("diabetes", "heart", "stroke", "breast_cancer", "sleep", "life_expectancy")
QUANTILES = ("mean", "q05", "q95")
TABLES = ("fitbit_percentiles", "hospital_departments", "hospital_conditions")


class Diabetes(BaseModel):
    pregnancies: int
    glucose: float | None = None
    blood_pressure: float | None = None
    skin_thickness: float | None = None
    insulin: float | None = None
    bmi: float | None = None
    diabetes_pedigree: float
    age: float


class Risk(BaseModel):
    probability: float


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    state.models = {name: joblib.load(ARTIFACTS / f"{name}.joblib") for name in PIPELINES}
    for name in QUANTILES:
        state.models[f"insurance_{name}"] = joblib.load(ARTIFACTS / f"insurance_{name}.joblib")
    state.models["brain_tumor"] = onnxruntime.InferenceSession(
        ARTIFACTS / "brain_tumor.onnx", providers=["CPUExecutionProvider"]
    )
    state.tables = {name: pd.read_parquet(ARTIFACTS / f"{name}.parquet") for name in TABLES}
    yield


app = FastAPI(lifespan=lifespan)


def get_diabetes(request: Request) -> Any:
    return request.app.state.models["diabetes"]


@app.post("/diabetes")
async def diabetes(body: Diabetes, model: Annotated[Any, Depends(get_diabetes)]) -> Risk:
    row = np.array([list(body.model_dump().values())], dtype=np.float64)
    return Risk(probability=float(model.predict_proba(row)[0, 1]))


@app.get("/livez")
async def livez() -> dict[str, str]:
    return {"status": "ok"}
