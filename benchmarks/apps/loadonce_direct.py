"""The converted artifact behind a direct route."""

from fastapi import FastAPI

from loadonce.http import DirectRoute

from .loadonce_converted import create_app as create


def create_app() -> FastAPI:
    return create(DirectRoute)
