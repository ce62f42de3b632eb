"""A required and an optional model, and what is done at the end. In this directory:

python make_model.py && loadonce lock models && loadonce serve app:app

With `python make_model.py --only-required` instead, /progression answers 503, /cultivar as ever.
"""

import logging
from typing import Annotated

from fastapi import Depends, FastAPI

from loadonce import Classifier, Handle, Model, Registry, Regressor, artifact
from loadonce.http import DirectRoute, install

logger = logging.getLogger(__name__)


def say_goodbye(model: object) -> None:
    """Called with the object after its last request, before it is let go."""
    logger.info("closing %s", type(model).__name__)


class Models(Registry):
    cultivar: Model[Classifier] = artifact("cultivar.joblib", close=say_goodbye)
    progression: Model[Regressor] = artifact(
        "progression.joblib", required=False, close=say_goodbye
    )


models = Models(root="models")
app = FastAPI(lifespan=models.lifespan)
install(app, models)
app.router.route_class = DirectRoute  # FastAPI's answers, sooner

Cultivar = Annotated[Handle[Classifier], Depends(models.cultivar)]
Progression = Annotated[Regressor, Depends(models.progression.raw)]  # the plain object


def cultivars(classifier: Classifier, wines: list[tuple[float, float]]) -> list[str]:
    return [str(name) for name in classifier.predict([list(wine) for wine in wines])]


@app.post("/cultivar")
async def cultivar(alcohol: float, proline: float, model: Cultivar) -> dict[str, str]:
    return {"cultivar": await model.batch(cultivars, (alcohol, proline)), "version": model.version}


@app.post("/progression")  # `def`: FastAPI runs it in a thread, as a plain object wants
def progression(age: float, bmi: float, model: Progression) -> float:
    return float(model.predict([[age, bmi]])[0])
