"""What clients send and get: the same for every contender that speaks plain JSON."""

from pydantic import BaseModel


class Row(BaseModel):
    """One person: the nine features of `pipeline` and `forest`."""

    age: float
    bmi: float
    systolic: float
    cholesterol: float
    glucose: float
    heart_rate: float
    sex: str
    smoker: str
    region: str


class Picture(BaseModel):
    """One picture for `cnn`: 16 x 16 values, row by row."""

    pixels: list[float]


class Answer(BaseModel):
    """The likeliest label and its probability."""

    label: str
    probability: float
