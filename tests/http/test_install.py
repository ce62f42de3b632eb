"""When `install` refuses."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from loadonce import ConfigurationError, Registry
from loadonce.http import install, installed_registries


class Models(Registry):
    pass


def test_what_was_installed_can_be_asked_for() -> None:
    app, models = FastAPI(), Models()
    assert installed_registries(app) is None
    install(app, models)
    assert installed_registries(app) == (models,)


def test_twice_is_once_too_often() -> None:
    app = FastAPI()
    install(app, Models())
    with pytest.raises(ConfigurationError, match="in one call"):
        install(app, Models())


def test_after_the_start_is_too_late() -> None:
    app = FastAPI()
    with TestClient(app), pytest.raises(ConfigurationError, match="where the app is made"):
        install(app)
