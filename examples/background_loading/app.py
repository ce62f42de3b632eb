"""A model that loads while the app already serves. In this directory:

python make_model.py && loadonce lock models && loadonce serve app:app

Try it too without the first two commands: the app starts all the same, and says what is wrong; run
them while it serves, and within a minute at most it answers.
"""

import time
from typing import Annotated

from fastapi import Depends, FastAPI

from loadonce import Classifier, Handle, Model, Registry, artifact
from loadonce.http import install

REHEARSAL_SECONDS = 2.0  # stands for what takes long with a large model


def rehearse(classifier: Classifier) -> None:
    """Must succeed before the first request sees the model."""
    time.sleep(REHEARSAL_SECONDS)
    classifier.predict_proba([[1.4, 0.2]])


class Models(Registry):
    iris: Model[Classifier] = artifact("iris.joblib", when="background", warmup=rehearse)


models = Models(root="models")
app = FastAPI(lifespan=models.lifespan)
install(app, models)


def species(classifier: Classifier, petals: list[tuple[float, float]]) -> list[str]:
    return [str(name) for name in classifier.predict([list(petal) for petal in petals])]


@app.post("/species")  # 503 with Retry-After until the model is ready: no line of code for it
async def find(
    petal_length: float,
    petal_width: float,
    model: Annotated[Handle[Classifier], Depends(models.iris)],
) -> str:
    return await model.batch(species, (petal_length, petal_width))


@app.get("/status")  # answers at any time, because it asks for no handle
async def status() -> list[dict[str, str]]:
    return [
        {"model": one.name, "state": one.state, "version": one.version, "error": one.error}
        for one in models.status()
    ]
