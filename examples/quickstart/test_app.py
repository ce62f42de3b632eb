"""What a test of the app looks like: the model's file is never opened. Run: pytest test_app.py"""

from app import app, models
from fastapi.testclient import TestClient


class AlwaysSetosa:
    def predict(self, rows: list[list[float]], /) -> list[str]:
        return ["setosa" for _ in rows]

    def predict_proba(self, rows: list[list[float]], /) -> list[list[float]]:
        return [[1.0, 0.0, 0.0] for _ in rows]


def test_species() -> None:
    with models.iris.override(AlwaysSetosa()), TestClient(app) as client:
        answer = client.post("/species", json={"petal_length": 1.4, "petal_width": 0.2})
    assert answer.json() == "setosa"
