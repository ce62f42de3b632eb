"""loadonce with what `loadonce convert` made of the same artifact: no scikit-learn, no pandas."""

import os
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from loadonce import Classifier, Handle, Model, Registry, artifact
from loadonce.http import install

from .models import SIDE, answers
from .schemas import Answer, Picture, Row

WORKLOAD = os.environ["BENCH_WORKLOAD"]


class Tables(Registry):
    model: Model[Classifier] = artifact(f"{WORKLOAD}.predictor.onnx")


class Pictures(Registry):
    model: Model[Any] = artifact("cnn.onnx")


ROOT = os.environ["BENCH_ARTIFACTS"]
tables, pictures = Tables(root=ROOT), Pictures(root=ROOT)


def assess(model: Any, rows: Sequence[Row]) -> list[Answer]:
    return answers(np.asarray(model.predict_proba(rows)), model.classes_)


def recognise(session: Any, asked: Sequence[Picture]) -> list[Answer]:
    pixels = np.array([picture.pixels for picture in asked], dtype=np.float32)
    (probabilities,) = session.run(None, {"pixels": pixels.reshape(-1, 1, SIDE, SIDE)})
    return answers(probabilities, range(probabilities.shape[1]))


def create_app(route_class: type[APIRoute] = APIRoute) -> FastAPI:
    models = pictures if WORKLOAD == "cnn" else tables
    app = FastAPI(lifespan=models.lifespan)
    app.router.route_class = route_class
    install(app, models)
    if WORKLOAD == "cnn":
        app.post("/recognise")(recognise_picture)
    else:
        app.post("/predict")(predict)
    return app


async def predict(row: Row, model: Annotated[Handle[Classifier], Depends(tables.model)]) -> Answer:
    return await model.batch(assess, row)


async def recognise_picture(
    picture: Picture, model: Annotated[Handle[Any], Depends(pictures.model)]
) -> Answer:
    return await model.batch(recognise, picture)
