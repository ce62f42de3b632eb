"""One torch network behind /predict, the loadonce way. In this directory (needs torch):

python make_model.py && loadonce lock models && loadonce serve app:app

The same model is declared three times, with a plain and an async load function and by format, to
show that `predict` does not care.
"""

import asyncio
from typing import Annotated

import torch
from fastapi import Depends, FastAPI
from network import Network

from loadonce import Handle, Model, Registry, Source, artifact
from loadonce.http import install

Weights = dict[str, torch.Tensor]


def build(weights: Weights) -> Network:
    network = Network()
    network.load_state_dict(weights)
    return network.eval()


def load(source: Source) -> Network:
    """A plain function: runs in a thread. `source` holds the verified bytes."""
    return build(torch.load(source.open(), weights_only=True))


async def load_async(source: Source) -> Network:
    """A coroutine function: runs on the event loop, so it hands heavy work to a thread."""
    return await asyncio.to_thread(load, source)


class Models(Registry):
    digits: Model[Network] = artifact("digits.pt", loader=load)
    digits_async: Model[Network] = artifact("digits.pt", loader=load_async)
    weights: Model[Weights] = artifact("digits.pt")  # by suffix: the torch loader


models = Models(root="models")
app = FastAPI(lifespan=models.lifespan)
install(app, models)


def classify(network: Network, pictures: list[list[float]]) -> list[int]:
    with torch.inference_mode():
        return [int(label) for label in network(torch.tensor(pictures)).argmax(dim=1)]


@app.post("/predict")
async def predict(
    pixels: list[float], network: Annotated[Handle[Network], Depends(models.digits)]
) -> int:
    return await network.batch(classify, pixels)


@app.post("/predict-async")
async def predict_async(
    pixels: list[float], network: Annotated[Handle[Network], Depends(models.digits_async)]
) -> int:
    return await network.batch(classify, pixels)


@app.get("/layers")  # the plain object, in a `def` handler: FastAPI runs it in a thread
def layers(weights: Annotated[Weights, Depends(models.weights.raw)]) -> list[str]:
    return sorted(weights)
