"""One server with a database for a whole table: each case has an app of its own on it, so none sees the others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from flask import Flask

from app import create_app
from ota.db import db
from tests.conftest import settings_for


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A server for a module, on either database. Its default app is left alone."""
    folder: Path = tmp_path_factory.mktemp("contract")
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "ota.db")
        yield from _served(folder, f"sqlite:///{folder / 'ota.db'}")
        return
    url, template = request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_template")
    name = f"t_{uuid4().hex}"
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield from _served(folder, f"{url}/{name}")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _served(folder: Path, database_url: str) -> Iterator[Flask]:
    app = create_app(settings_for(folder, database_url=database_url))
    app.testing = False
    app.extensions["ota_sightings"].is_automatic = False
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
