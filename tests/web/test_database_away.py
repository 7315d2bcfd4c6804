"""PostgreSQL goes away and comes back: callers get answers meanwhile, and nothing has to be restarted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app import create_app
from ota.config import Settings
from ota.db import reader
from ota.models import Event, FailureSignature, ReleaseDevice, UpdateCompletion
from ota.parts import part
from ota.telemetry import accept
from tests import servers
from tests.builders.packages import apk
from tests.conftest import EMAILS, PASSWORD, Api, csrf_of, drain, make_cast, missing, settings_for


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


def test_everybody_gets_an_answer_while_the_database_is_away_and_afterwards(
    own_app: Flask, own_server: servers.PostgresServer
) -> None:
    api, browser = Api(own_app), own_app.test_client()
    login = {
        "email": next(iter(EMAILS.values())),
        "password": PASSWORD,
        "csrf_token": csrf_of(browser.get("/login")),
    }
    assert browser.post("/login", data=login).status_code == 303
    api.published()
    own_server.stop()

    health = api.client.get("/api/system/health")
    assert (health.status_code, health.json["status"], health.json["components"]["database"]["state"]) == (
        503,
        "down",
        "down",
    )
    check = api.client.post("/api/updates/check", json={"platform": "android", "current_version": "0.1.0+0"})
    assert (check.status_code, check.json["code"], check.headers["Retry-After"]) == (
        503,
        "database_unavailable",
        "5",
    )
    page = browser.get("/apps/my-app/versions")
    assert (page.status_code, "database" in page.text) == (503, True)
    assert browser.get("/apps/my-app/versions", headers={"HX-Request": "true"}).status_code == 503
    assert api.send(apk(code=2)).status_code == 503
    assert list(part(Settings, own_app).incoming_path.iterdir()) == []

    own_server.start()
    assert api.client.get("/api/system/health").status_code == 200
    assert api.check()["version_code"] == 1
    assert browser.get("/apps/my-app/versions").status_code == 200
    assert api.upload(apk(code=2))["status"] == "ready"


def test_what_devices_report_while_the_database_is_away_is_counted_afterwards(
    own_app: Flask, own_server: servers.PostgresServer
) -> None:
    api = Api(own_app)
    api.published(2, "1.1.0")
    device = {"device_id": "phone", "platform": "android"}
    api.check("1.0.0+1", device_id="phone")
    own_server.stop()
    events = [
        {"event_id": "1", "event": "installed", "version": "1.1.0+2"},
        {
            "event_id": "2",
            "event": "crash",
            "version": "1.1.0+2",
            "signature": "x" * 300,
            "text": "y" * 5_000,
        },
        {"event_id": "3", "event": "installed", "version": "9.9.9+9"},
        {"event_id": "4", "event": "exploded", "version": "1.1.0+2"},
        {"event": "installed"},
    ]
    answer = api.client.post("/api/updates/events", json={**device, "events": events})
    assert (answer.status_code, answer.json["taken"], [each["index"] for each in answer.json["refused"]]) == (
        202,
        4,
        [4],
    )
    done = api.client.post(
        "/api/updates/complete", json={**device, "from_version": "1.0.0+1", "to_version": "1.1.0+2"}
    )
    assert (done.status_code, "database" in done.json["message"]) == (202, True)
    with pytest.raises(OperationalError):
        drain(own_app)

    own_server.start()
    drain(own_app)
    with own_app.app_context():
        found = list(reader().scalars(select(Event).order_by(Event.id)))
        assert [(each.event_id, each.kind) for each in found] == [("1", "installed"), ("2", "crash")]
        assert [len(each.signature) for each in reader().scalars(select(FailureSignature))] == [200]
        journey = reader().scalars(select(ReleaseDevice)).one()
        assert None not in {journey.installed_at, journey.failed_at}
        assert [each.is_inferred for each in reader().scalars(select(UpdateCompletion))] == [False]


def test_a_database_that_goes_away_in_the_middle_spoils_no_answer(
    own_app: Flask, own_server: servers.PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, real = Api(own_app), accept.find_sender
    api.published(2, "1.1.0")

    def last_word(*given: Any, **more: Any) -> accept.ReportSender:
        found = real(*given, **more)
        own_server.stop()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(accept, "find_sender", last_word)
        event = {"event_id": "1", "event": "installed", "version": "1.1.0+2"}
        answer = api.client.post(
            "/api/updates/events", json={"device_id": "phone", "platform": "android", "events": [event]}
        )
    assert (answer.status_code, answer.json["taken"]) == (202, 1)
    own_server.start()
    assert (
        api.client.post(
            "/api/updates/events", json={"device_id": "phone", "platform": "android", "events": [event]}
        ).status_code
        == 202
    )
    assert drain(own_app) == 2
