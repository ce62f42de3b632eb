"""Every way to declare a model keeps its type. Checked, never run."""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import assert_type

from loadonce import (
    Classifier,
    Golden,
    Model,
    ModelStatus,
    Registry,
    Regressor,
    Source,
    State,
    artifact,
    resource,
    table,
)


class Network:
    """A loaded object of the user's own."""

    def __init__(self, weights: bytes) -> None:
        self.weights = weights


def network(source: Source) -> Network:
    return Network(bytes(source.data))


async def network_async(source: Source) -> Network:
    return Network(bytes(source.data))


def warm(network: Network) -> int:
    return len(network.weights)


def is_fine(network: Network) -> bool:
    return bool(network.weights)


def plain_generator() -> Iterator[sqlite3.Connection]:
    yield sqlite3.connect(":memory:")


@contextmanager
def plain_manager() -> Iterator[sqlite3.Connection]:
    yield sqlite3.connect(":memory:")


async def async_generator(network: Network) -> AsyncIterator[int]:
    yield len(network.weights)


@asynccontextmanager
async def async_manager(network: Network, classifier: Classifier) -> AsyncIterator[str]:
    yield f"{network} {classifier}"


class Models(Registry):
    by_suffix: Model[Classifier] = artifact("a.joblib")
    by_name: Model[Classifier] = artifact("a.bin", loader="joblib", golden=Golden("predict", 1, 2))
    several: Model[Mapping[str, Regressor]] = artifact({"mean": "m.joblib", "q95": "q.joblib"})
    network = artifact("n.bin", loader=network, warmup=warm, golden=is_fine, close=warm)
    later: Model[Network] = artifact("n.bin", loader=network_async, when="background", warmup=warm)
    numbers: Model[list[int]] = table("n.parquet", options={"columns": ["n"]}, when="first_use")
    connection = resource(plain_generator)
    other_connection = resource(plain_manager, required=False)
    length = resource(async_generator, network)
    text = resource(async_manager, network, by_suffix, kind="text")


models = Models(root=lambda: "models")
assert_type(models.by_suffix, Model[Classifier])
assert_type(models.several, Model[Mapping[str, Regressor]])
assert_type(models.network, Model[Network])
assert_type(models.later, Model[Network])
assert_type(models.numbers, Model[list[int]])
assert_type(models.connection, Model[sqlite3.Connection])
assert_type(models.other_connection, Model[sqlite3.Connection])
assert_type(models.length, Model[int])
assert_type(models.text, Model[str])
assert_type(models.network.state, State)
assert_type(models.network.status(), ModelStatus)
