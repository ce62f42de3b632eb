"""What a user writes first must satisfy mypy --strict and pyright. Checked, never run."""

from typing import Annotated, assert_type

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from loadonce import Classifier, Handle, Model, Registry, artifact


class Models(Registry):
    diabetes: Model[Classifier] = artifact("diabetes.joblib")
    heart: Model[Classifier] = artifact("heart.joblib", required=False)


class Vitals(BaseModel):
    glucose: float
    bmi: float


models = Models(root="models")
app = FastAPI(lifespan=models.lifespan)
DiabetesHandle = Annotated[Handle[Classifier], Depends(models.diabetes)]


def risks(classifier: Classifier, people: list[Vitals]) -> list[float]:
    rows = [[person.glucose, person.bmi] for person in people]
    return [float(ill) for _well, ill in classifier.predict_proba(rows)]


@app.post("/diabetes")
async def diabetes(vitals: Vitals, model: DiabetesHandle) -> float:
    risk = await model.batch(risks, vitals)
    assert_type(risk, float)
    return risk


@app.post("/heart")
def heart(
    vitals: Vitals, classifier: Annotated[Classifier, Depends(models.heart.raw)]
) -> list[float]:
    return risks(classifier, [vitals])


class Certain:
    """A stub: whatever has the methods will do."""

    def predict_proba(self, rows: list[list[float]], /) -> list[list[float]]:
        return [[0.0, 1.0] for _ in rows]

    def predict(self, rows: list[list[float]], /) -> list[int]:
        return [1 for _ in rows]


def override() -> None:
    with models.diabetes.override(Certain()):
        pass


assert_type(models.diabetes, Model[Classifier])
