"""Update checks from memory, through both doors: the front that answers plain checks, and Flask behind it."""

from __future__ import annotations

import json
import time
from typing import Any, cast

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text
from werkzeug.test import Client

from app import create_app
from ota import catalogs
from ota.apps import apps
from ota.clock import utcnow
from ota.config import Settings
from ota.db import db, reader, transaction
from ota.devices import devices
from ota.journal import segments
from ota.models import Device, DeviceGroup, DeviceGroupMember, Release, Version
from ota.parts import part
from ota.web.updates.front import Front
from tests.conftest import Api, drain

pytestmark = pytest.mark.sqlite_suffices

PATH = "/api/updates/check"
PLAIN: dict[str, Any] = {"platform": "android", "current_version": "0.9.0+0", "device_id": "device-1"}


def both(client: FlaskClient, behind: Client, **request: Any) -> tuple[int, bytes, set[tuple[str, str]]]:
    """Ask both doors the same question; return the answer, which must be equal."""
    answers = [
        (found.status_code, found.data, set(found.headers))
        for found in (each.post(PATH, **request) for each in (client, behind))
    ]
    assert answers[0] == answers[1]
    return answers[0]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"device_id": None},
        {"device_id": ""},
        {"user_initiated": True},
        {"app": "my-app", "channel": "stable"},
        {"app": "", "channel": ""},
        {"platform": "ios"},
        {"platform": " Android "},
        {"current_version": "1.0.0"},
        {"current_version": "v9+9"},
        {"sdk": 21, "abis": ["x86"], "os_version": "9.0"},
        {"locale": "de-AT"},
        {"locale": "no language" * 20},
        {"something": {"new": [1, 2]}},
        {"device_id": "é" * 200},
        # Refused ones.
        {"platform": "windows"},
        {"platform": None},
        {"current_version": "banana"},
        {"app": "nowhere"},
        {"channel": "nowhere"},
        {"device_id": "x" * 201},
        {"device_id": "a\0b"},
        {"locale": 5},
        {"sdk": 0},
        {"abis": ["no such; thing"]},
    ],
)
def test_both_doors_give_the_same_answers(
    api: Api, client: FlaskClient, behind: Client, fields: dict[str, Any]
) -> None:
    api.published(release_notes="What is new")
    status, body, headers = both(client, behind, json={**PLAIN, **fields})
    assert ("Cache-Control", "no-store") in headers
    assert status == 200 or json.loads(body)["ok"] is False


@pytest.mark.parametrize(
    "request_",
    [
        {"data": b"{"},
        {"data": b""},
        {"data": b"[]"},
        {"data": b"\xff"},
        {"data": json.dumps(PLAIN), "content_type": "text/plain"},
        {"data": json.dumps(PLAIN), "content_type": ""},
        {"data": json.dumps(PLAIN), "content_type": "application/jsonx"},
        {"data": json.dumps(PLAIN), "content_type": "application/json; charset=utf-8"},
        {"data": json.dumps(PLAIN), "content_type": "Application/JSON"},
        {"data": json.dumps(PLAIN), "query_string": "a=1"},
        {"data": json.dumps(PLAIN), "query_string": "a=%00"},
        {"data": json.dumps(PLAIN), "headers": {"Transfer-Encoding": "chunked"}},
        {"data": json.dumps(PLAIN), "headers": {"Content-Length": "10"}},
        {"data": json.dumps(PLAIN), "headers": {"Content-Length": "9999"}},
        {"data": json.dumps(PLAIN), "headers": {"Content-Length": "-1"}},
        {"data": json.dumps(PLAIN), "headers": {"Content-Length": "many"}},
        {"data": json.dumps(PLAIN) + " " * 300_000},
        {"data": json.dumps(PLAIN) + " " * 200_000},
    ],
)
def test_both_doors_treat_odd_requests_alike(
    api: Api, client: FlaskClient, behind: Client, request_: dict[str, Any]
) -> None:
    api.published()
    both(client, behind, **{"content_type": "application/json", **request_})


def test_another_path_or_method_is_not_the_fronts(client: FlaskClient) -> None:
    assert client.get(PATH).status_code == 405
    assert client.post(PATH + "/").status_code == 404
    assert client.get("/api/system/health").status_code == 200


def test_a_plain_check_uses_neither_flask_nor_the_database(api: Api, app: Flask) -> None:
    api.published()
    assert api.check()["version_code"] == 1
    statements: list[str] = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
    front = cast(Front, app.wsgi_app)
    flask, front.behind = front.behind, cast(Any, None)
    for number in range(50):
        assert api.check(device_id=f"device {number}")["version_code"] == 1
    front.behind = flask
    # At most those of the refresh that is due after 0.75 s.
    assert all("catalog_revision" in each for each in statements)


def test_a_change_in_another_process_is_seen_within_a_second(api: Api, settings: Settings) -> None:
    api.published()
    assert api.check()["version_code"] == 1
    other = Api(create_app(settings))
    other.published(2, "1.1.0")
    time.sleep(1.0)
    assert api.check()["version_code"] == 2
    release = other.get("/api/versions").json["versions"][0]["releases"][0]
    assert other.post(f"/api/releases/{release['id']}/rollback").status_code == 200
    time.sleep(1.0)
    assert api.check()["version_code"] == 1
    with other.app.app_context():
        db.session.remove()
        db.engine.dispose()


def test_a_change_in_the_same_process_is_seen_at_once(api: Api) -> None:
    for code in range(1, 6):
        release = api.published(code, f"1.{code}.0")
        assert api.check()["version_code"] == code
    rows = api.get(f"/api/versions/{release['version']['id']}").json["version"]["releases"]
    api.post(f"/api/releases/{rows[0]['id']}/pause")
    assert api.check()["version_code"] == 4
    api.patch(
        f"/api/versions/{api.get('/api/versions').json['versions'][1]['id']}",
        {"release_notes": "Other words"},
    )
    assert api.check()["release_notes"] == "Other words"


def test_a_failure_is_answered_by_flask(api: Api, app: Flask, behind: Client) -> None:
    api.published()
    api.check()
    with app.app_context(), transaction() as session:
        catalogs.touch(session, apps.find(session, None).id)
    with app.app_context(), transaction() as session:
        session.execute(text("ALTER TABLE apps RENAME TO gone"))
    status, body, _ = both(api.client, behind, json=PLAIN)
    assert status in {500, 503}
    assert json.loads(body)["code"] in {"database_unavailable", "internal_error"}
    with app.app_context(), transaction() as session:
        session.execute(text("ALTER TABLE gone RENAME TO apps"))
    assert api.check()["version_code"] == 1


def test_members_of_a_group_are_known_by_their_keyed_hash(api: Api, app: Flask, settings: Settings) -> None:
    api.published()
    made = api.published(2, "1.1.0")
    with app.app_context(), transaction() as session:
        found = apps.find(session, None)
        release = session.query(Release).filter_by(version_id=made["version"]["id"]).one()
        group = DeviceGroup(app_id=found.id, name="testers", created_at=utcnow())
        session.add(group)
        session.flush()
        member = DeviceGroupMember(
            group_id=group.id,
            device_hash=devices.hashed(settings.secret_key, "the tester's"),
            added_at=utcnow(),
            added_by="somebody",
        )
        session.add(member)
        release.rollout, release.groups = 0, [group]
        catalogs.touch(session, found.id)
    assert api.check(device_id="the tester's")["version_code"] == 2
    assert api.check(device_id="somebody else's")["version_code"] == 1
    assert api.check(device_id=None)["version_code"] == 1


def test_a_device_on_a_withdrawn_version_is_informed(api: Api) -> None:
    api.published()
    bad = api.published(2, "1.1.0")
    assert api.check("1.1.0+2")["current_version_withdrawn"] is False
    api.post(f"/api/updates/deactivate/{bad['version']['id']}")
    answer = api.check("1.1.0+2")
    assert (answer["current_version_withdrawn"], answer["update_available"]) == (True, False)
    assert api.check("1.0.0+1")["current_version_withdrawn"] is False
    api.published(3, "1.2.0")
    answer = api.check("1.1.0+2")
    assert (answer["current_version_withdrawn"], answer["version_code"]) == (True, 3)


@pytest.mark.parametrize(
    ("locale", "notes"),
    [
        ("de", "Neu"),
        ("de-AT", "Neu"),
        ("de_AT", "Neu"),
        ("pt-BR", "Novidades"),
        ("pt", "What is new"),
        ("fr", "What is new"),
        ("", "What is new"),
        (None, "What is new"),
        ("x" * 5_000, "What is new"),
    ],
)
def test_notes_are_in_the_language_of_the_device(
    api: Api, app: Flask, locale: str | None, notes: str
) -> None:
    made = api.published(release_notes="What is new")
    with app.app_context(), transaction() as session:
        version = session.get_one(Version, made["version"]["id"])
        version.localized_notes = {"de": "Neu", "pt-br": "Novidades"}
        catalogs.touch(session, version.app_id)
    for _ in range(2):
        assert api.check(locale=locale)["release_notes"] == notes


def test_a_long_body_is_counted_without_being_kept(api: Api, app: Flask) -> None:
    api.check("1.0.0+1", device_id="phone", sdk=30, locale="x" * 50_000, more="y" * 50_000)
    api.check("1.0.0+1", device_id="phone")
    kept = [each for segment in segments(part(Settings, app).journal_path) for each, _ in segment.records(0)]
    assert [len(each) < 1_000 for each in kept] == [True, True]
    assert drain(app) == 2
    with app.app_context():
        assert [(each.sdk, each.version_code) for each in reader().query(Device)] == [(30, 1)]
