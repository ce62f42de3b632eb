"""One model behind one route. In this directory:

python make_model.py && loadonce lock models && loadonce serve app:app
"""

from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from loadonce import Classifier, Handle, Model, Registry, artifact
from loadonce.http import install


class Models(Registry):
    iris: Model[Classifier] = artifact("iris.joblib")


class Flower(BaseModel):
    petal_length: float
    petal_width: float


models = Models(root="models")  # declares; opens no file
app = FastAPI(lifespan=models.lifespan)  # verifies and loads, then serves; closes at the end
install(app, models)  # probes and problem details


def species(classifier: Classifier, flowers: list[Flower]) -> list[str]:
    rows = [[flower.petal_length, flower.petal_width] for flower in flowers]
    return [str(name) for name in classifier.predict(rows)]


@app.post("/species")  # runs off the event loop, together with concurrent requests
async def find(flower: Flower, model: Annotated[Handle[Classifier], Depends(models.iris)]) -> str:
    return await model.batch(species, flower)
