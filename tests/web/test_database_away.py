"""A PostgreSQL that goes away and comes back: everybody gets an answer meanwhile, and nothing has to be restarted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from app import create_app
from tests import servers
from tests.builders.packages import apk
from tests.conftest import EMAILS, PASSWORD, Api, csrf_of, make_cast, missing, settings_for


@pytest.fixture
def own_server() -> Iterator[servers.PostgresServer]:
    programs = servers.find_postgres()
    if programs is None:
        missing("PostgreSQL")
    server = servers.PostgresServer(programs)
    server.start()
    yield server
    server.remove()


@pytest.fixture
def own_app(own_server: servers.PostgresServer, tmp_path: Path) -> Flask:
    with psycopg.connect(f"{own_server.url}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE ota")
    settings = settings_for(tmp_path, database_url=f"{own_server.url}/ota")
    app = create_app(settings)
    make_cast(app, settings)
    return app


def test_everybody_gets_an_answer_while_the_database_is_away_and_afterwards(own_app: Flask, own_server: servers.PostgresServer) -> None:
    api, browser = Api(own_app), own_app.test_client()
    login = {"email": next(iter(EMAILS.values())), "password": PASSWORD, "csrf_token": csrf_of(browser.get("/login"))}
    assert browser.post("/login", data=login).status_code == 303
    api.published()
    own_server.stop()

    health = api.client.get("/api/system/health")
    assert (health.status_code, health.json["status"], health.json["components"]["database"]["state"]) == (503, "down", "down")
    check = api.client.post("/api/updates/check", json={"platform": "android", "current_version": "0.1.0+0"})
    assert (check.status_code, check.json["code"], check.headers["Retry-After"]) == (503, "database_unavailable", "5")
    page = browser.get("/apps/my-app/versions")
    assert (page.status_code, "does not answer at the moment" in page.text) == (503, True)
    assert browser.get("/apps/my-app/versions", headers={"HX-Request": "true"}).status_code == 503
    assert api.send(apk(code=2)).status_code == 503
    assert list(own_app.extensions["ota_settings"].incoming_path.iterdir()) == []

    own_server.start()
    assert api.client.get("/api/system/health").status_code == 200
    assert api.check()["version_code"] == 1
    assert browser.get("/apps/my-app/versions").status_code == 200
    assert api.upload(apk(code=2))["status"] == "ready"
