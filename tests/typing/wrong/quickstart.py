"""The quickstart's wrong variants: a type checker must object to every line so marked, and to no
other."""

from typing import Annotated

from fastapi import Depends, FastAPI

from loadonce import Classifier, Handle, Model, Registry, Source, artifact


class Models(Registry):
    diabetes: Model[Classifier] = artifact("diabetes.joblib")


models = Models()
app = FastAPI(lifespan=models.lifespan)


# A typo in a model's name. mypy does not look into the metadata of Annotated; Python itself does,
# when the module is imported.
@app.post("/typo")
async def typo(
    model: Annotated[Handle[Classifier], Depends(models.diabets)],  # error: pyright
) -> str:
    return model.version


async def typo_elsewhere() -> None:
    await models.diabets.reload()  # error


# A loader that gives something else
def text(source: Source) -> str:
    return bytes(source.data).decode()


class WrongLoader(Registry):
    diabetes: Model[Classifier] = artifact("diabetes.joblib", loader=text)  # error


# A stub that lacks a method, and one that is something else
class Uncertain:
    def predict(self, rows: list[list[float]], /) -> list[int]:
        return [1 for _ in rows]


def overrides() -> None:
    with models.diabetes.override(Uncertain()):  # error
        pass
    with models.diabetes.override(0.5):  # error
        pass
