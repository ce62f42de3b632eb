"""The converted artifact behind a direct route."""

from importlib import import_module

from fastapi import FastAPI

from .loadonce_converted import create_app as create


def create_app() -> FastAPI:
    return create(import_module("loadonce.http").DirectRoute)
