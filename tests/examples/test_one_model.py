"""One torch network, held in the tutorial's three ways and in loadonce's: the same answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from .conftest import Example

pytest.importorskip("torch", reason="the example with one model needs torch")

pytestmark = pytest.mark.timeout(60)  # torch alone takes seconds to import


def test_every_way_gives_the_same_answer(example: Callable[[str], Example]) -> None:
    from sklearn.datasets import load_digits

    one_model = example("one_model")
    one_model.make_model()
    digits = load_digits()
    pictures = [[float(pixel) for pixel in picture] for picture in digits.data[:20]]

    def answers(module: str, path: str = "/predict") -> list[int]:
        with TestClient(one_model.module(module).app) as client:
            return [int(client.post(path, json=picture).json()) for picture in pictures]

    expected = answers("app")
    right = [got == wanted for got, wanted in zip(expected, digits.target, strict=False)]
    assert sum(right) >= 18
    assert answers("app", "/predict-async") == expected
    for module in ("before_dictionary", "before_manager", "before_singleton"):
        assert answers(module) == expected


def test_one_file_may_serve_three_models(example: Callable[[str], Example]) -> None:
    """By a plain function, an async function, and by its format: each with the same version."""
    one_model = example("one_model")
    one_model.make_model()
    app = one_model.module()
    with TestClient(app.app) as client:
        assert client.get("/layers").json()[0] == "layers.0.bias"
        assert len({model.status().version for model in app.models}) == 1


def test_altered_weights_stop_the_start(example: Callable[[str], Example]) -> None:
    from loadonce import StartupError

    one_model = example("one_model")
    one_model.make_model()
    path = one_model.directory / "models/digits.pt"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(StartupError, match=r"digits\.pt"), TestClient(one_model.module().app):
        pass
