"""The contract, and the shapes of the published protocol, checked through HTTP on a real database."""

from __future__ import annotations

from typing import Any, cast
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import Client

from ota.apps import apps
from ota.clock import utcnow
from ota.core.versions import EXPECTED_FORM
from ota.db import transaction
from ota.history.audit import SYSTEM
from ota.web.updates.front import Front
from tests.conftest import Api
from tests.contract import stage
from tests.contract.cases import CASES, REFUSED
from tests.contract.rows import BUCKETS, Case

OTHERS: list[dict[str, Any]] = [
    {"sdk": 1},
    {"os_version": "1.0"},
    {"abis": ["mips"]},
    {"user_initiated": True},
    {"device_id": stage.OTHER_DEVICE},
    *({"device_id": device} for device in BUCKETS),
]
CHECK_FIELDS = {
    "update_available",
    "latest_version",
    "version_code",
    "download_url",
    "file_size",
    "checksum",
    "release_notes",
    "is_mandatory",
    "message",
}
LATEST_FIELDS = {
    "ok",
    "version",
    "version_code",
    "platform",
    "download_url",
    "file_size",
    "checksum",
    "release_notes",
    "is_mandatory",
    "published_at",
}
VERSION_FIELDS = {
    "id",
    "version",
    "version_code",
    "platform",
    "min_supported_version",
    "download_url",
    "file_size",
    "checksum",
    "release_notes",
    "is_mandatory",
    "is_active",
    "created_at",
    "published_at",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_http_keeps_the_contract(case: Case, shared_app: Flask) -> None:
    slug = f"app-{uuid4().hex}"
    with shared_app.app_context():
        stage.put(case, slug)
    body: dict[str, Any] = {"platform": "android", "current_version": case.current, "app": slug, **case.more}
    if case.device is not None:
        body["device_id"] = case.device
    client, behind = shared_app.test_client(), Client(cast(Front, shared_app.wsgi_app).behind)
    # Others check a moment before. Their remembered answers must not be given to this device.
    for other in OTHERS:
        assert client.post("/api/updates/check", json={**body, **other}).status_code == 200
    answer = client.post("/api/updates/check", json=body)
    assert answer.status_code == 200
    # Flask itself answers the same as the front.
    assert behind.post("/api/updates/check", json=body).data == answer.data
    found = answer.json
    assert set(found) >= CHECK_FIELDS
    assert (found["version_code"], found["reason"], found["is_mandatory"]) == (
        case.offers,
        case.reason,
        case.mandatory,
    )
    assert (found["update_available"], found["blocked"]) == (case.offers is not None, case.blocked)
    assert found["current_version_withdrawn"] is case.withdrawn


def test_other_texts_than_versions_are_refused_through_both_doors(
    client: FlaskClient, behind: Client
) -> None:
    for text in REFUSED:
        for door in (client, behind):
            answer = door.post(
                "/api/updates/check",
                json={"platform": "android", "current_version": text, "device_id": "abc123"},
            )
            assert answer.status_code == 400, text
            assert answer.json["ok"] is False
            assert answer.json["code"] == "bad_current_version"
            assert EXPECTED_FORM in answer.json["message"]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"platform": "windows"}, 400, "unknown_platform"),
        ({"app": "nowhere"}, 404, "unknown_app"),
        ({"channel": "nowhere"}, 404, "unknown_channel"),
    ],
)
def test_a_check_for_something_unknown_is_an_error_through_both_doors(
    client: FlaskClient, behind: Client, asked: dict[str, str], status: int, code: str
) -> None:
    for door in (client, behind):
        answer = door.post(
            "/api/updates/check", json={"platform": "android", "current_version": "1.0.0+1", **asked}
        )
        assert (answer.status_code, answer.json["ok"], answer.json["code"]) == (status, False, code)


def test_the_requests_of_the_published_protocol_work_unchanged(api: Api) -> None:
    api.published(1, "1.0.0")
    body = {
        "version": "1.1.0",
        "version_code": 2,
        "platform": "android",
        "download_url": "https://files.example.com/app-v1.1.0.apk",
        "file_size": 25000000,
        "checksum": "ab" * 32,
        "release_notes": "Bug fixes and improvements",
        "is_mandatory": False,
    }
    published = api.post("/api/updates/publish", body)
    assert (published.status_code, published.json["ok"]) == (201, True)
    assert set(published.json["version"]) >= VERSION_FIELDS

    check = api.client.post(
        "/api/updates/check",
        json={"platform": "android", "current_version": "1.0.0+1", "device_id": "abc123"},
    ).json
    assert set(check) >= CHECK_FIELDS
    assert {
        name: check[name]
        for name in ("latest_version", "version_code", "download_url", "file_size", "checksum")
    } == {
        "latest_version": "1.1.0",
        "version_code": 2,
        "download_url": body["download_url"],
        "file_size": 25000000,
        "checksum": "ab" * 32,
    }

    latest = api.client.get("/api/updates/latest?platform=android").json
    assert set(latest) >= LATEST_FIELDS
    assert (latest["ok"], latest["version"], latest["published_at"][-1]) == (True, "1.1.0", "Z")

    deactivated = api.post(f"/api/updates/deactivate/{published.json['version']['id']}")
    assert (deactivated.status_code, deactivated.json["ok"], deactivated.json["version"]["is_active"]) == (
        200,
        True,
        False,
    )
    assert api.client.get("/api/updates/latest?platform=android").json["version"] == "1.0.0"


def test_a_check_with_unknown_fields_is_answered(api: Api) -> None:
    api.published()
    assert api.check(os_version="14", some_new_field={"a": 1})["update_available"] is True


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "missing_field"),
        ("platform=windows", 400, "unknown_platform"),
        ("platform=ios", 404, "no_release"),
        ("platform=ios&app=x", 404, "unknown_app"),
    ],
)
def test_latest_states_why_there_is_no_release(
    client: FlaskClient, query: str, status: int, code: str
) -> None:
    answer = client.get(f"/api/updates/latest?{query}")
    assert (answer.status_code, answer.json["ok"], answer.json["code"]) == (status, False, code)


def test_an_app_is_named_by_its_slug_and_the_default_app_answers_without_one(app: Flask, api: Api) -> None:
    with app.app_context(), transaction() as session:
        apps.create(session, SYSTEM, slug="other", name="Other", now=utcnow())
    api.published(5, "5.0.0")
    assert api.check(app="my-app")["version_code"] == 5
    assert api.check()["version_code"] == 5
    assert api.check(app="other")["reason"] == "no_release"
