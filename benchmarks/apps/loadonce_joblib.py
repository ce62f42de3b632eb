"""loadonce with scikit-learn's own artifact: concurrent requests share a call."""

import os
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI

from loadonce import Classifier, Handle, Model, Registry, artifact
from loadonce.http import install

from .models import assess
from .schemas import Answer, Row

PLACEMENT: Any = os.environ.get("BENCH_PLACEMENT", "auto")


class Models(Registry):
    model: Model[Classifier] = artifact(
        f"{os.environ['BENCH_WORKLOAD']}.joblib", placement=PLACEMENT
    )


models = Models(root=os.environ["BENCH_ARTIFACTS"])
app = FastAPI(lifespan=models.lifespan)
install(app, models)


def assess_all(model: Classifier, rows: Sequence[Row]) -> list[Answer]:
    return assess(model, rows)


@app.post("/predict")
async def predict(row: Row, model: Annotated[Handle[Classifier], Depends(models.model)]) -> Answer:
    return await model.batch(assess_all, row)
