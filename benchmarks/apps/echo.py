"""The floor: the same schemas in and out of FastAPI, and no model."""

from fastapi import FastAPI

from .schemas import Answer, Picture, Row

app = FastAPI()


@app.post("/predict")
async def predict(row: Row) -> Answer:
    return Answer(label=row.sex, probability=0.5)


@app.post("/recognise")
async def recognise(picture: Picture) -> Answer:
    return Answer(label="0", probability=picture.pixels[0])


@app.get("/livez")
async def livez() -> dict[str, str]:
    return {"status": "ok"}
