"""Requests from devices, and the answers to malformed ones."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from ota.config import Settings
from ota.parts import part
from tests.conftest import Api

pytestmark = pytest.mark.sqlite_suffices


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_field"),
        ({"platform": "android"}, "missing_field"),
        ({"platform": 5, "current_version": "1.0.0+1"}, "invalid_field"),
        ({"platform": "android", "current_version": 1}, "invalid_field"),
        ({"platform": "android", "current_version": None}, "invalid_field"),
        ({"platform": "windows", "current_version": "1.0.0+1"}, "unknown_platform"),
        ({"platform": "android", "current_version": "banana"}, "bad_current_version"),
        ({"platform": "android", "current_version": ""}, "bad_current_version"),
        ({"platform": "android", "current_version": "1.0.0+99999999999999999999"}, "bad_current_version"),
        ({"platform": "android", "current_version": "1.0.0+1", "device_id": 5}, "invalid_field"),
        ({"platform": "android", "current_version": "1.0.0+1", "device_id": "x" * 201}, "invalid_field"),
        ({"platform": "android", "current_version": "1.0.0+1", "user_initiated": "yes"}, "invalid_field"),
        ([], "invalid_field"),
        ("text", "invalid_field"),
    ],
)
def test_a_malformed_check_is_answered_with_what_was_expected(
    client: FlaskClient, body: Any, code: str
) -> None:
    answer = client.post("/api/updates/check", json=body)
    assert (answer.status_code, answer.json["ok"], answer.json["code"]) == (400, False, code)
    assert len(answer.json["message"]) > 20


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [({"app": "nowhere"}, 404, "unknown_app"), ({"channel": "nowhere"}, 404, "unknown_channel")],
)
def test_an_unknown_app_or_channel_is_not_found(
    client: FlaskClient, fields: dict[str, str], status: int, code: str
) -> None:
    answer = client.post(
        "/api/updates/check", json={"platform": "android", "current_version": "1.0.0+1", **fields}
    )
    assert (answer.status_code, answer.json["code"]) == (status, code)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff\xfe", b'{"platform": "android",}', b"[" * 5_000, b'{"platform": "\\ud800"}', b"NaN"],
)
def test_a_body_that_is_not_json_is_refused_with_a_code(client: FlaskClient, raw: bytes) -> None:
    answer = client.post("/api/updates/check", data=raw, content_type="application/json")
    assert (answer.status_code, answer.json["ok"]) == (400, False)
    assert answer.json["code"] in {"malformed_json", "invalid_field", "missing_field"}


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_another_content_type_is_refused(client: FlaskClient, content_type: str) -> None:
    answer = client.post("/api/updates/check", data=b'{"platform": "android"}', content_type=content_type)
    assert (answer.status_code, answer.json["code"]) == (415, "wrong_content_type")


def test_texts_that_a_database_can_not_hold_are_refused(client: FlaskClient) -> None:
    for field in ("app", "channel", "device_id", "platform"):
        body = {"platform": "android", "current_version": "1.0.0+1", field: "a\u0000b"}
        answer = client.post("/api/updates/check", json=body)
        assert (answer.status_code, answer.json["code"]) == (400, "invalid_text"), field
    for path in (
        "/api/updates/latest?platform=android&app=%00",
        "/downloads/%00/android/1/x",
        "/api/uploads/%00",
    ):
        assert client.get(path).status_code == 404, path


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/updates/check"), ("DELETE", "/api/updates/latest"), ("PUT", "/api/uploads")],
)
def test_a_wrong_method_is_answered_in_json(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"]


def test_an_unknown_address_below_the_api_is_answered_in_json(client: FlaskClient) -> None:
    assert client.get("/api/nothing").json["code"] == "not_found"


def test_answers_to_devices_carry_no_cookies(api: Api) -> None:
    answer = api.client.post("/api/updates/check", json={"platform": "android", "current_version": "1.0.0+1"})
    assert "Set-Cookie" not in answer.headers
    assert "Vary" not in answer.headers


def test_health_names_each_part(api: Api) -> None:
    answer = api.client.get("/api/system/health")
    assert answer.status_code == 200
    assert set(answer.json["components"]) == {"database", "storage", "queue", "worker"}
    assert answer.json["components"]["worker"]["state"] == "late"
    assert answer.json["status"] == "degraded"


def test_health_is_503_when_the_storage_is_gone(api: Api) -> None:
    folder = part(Settings, api.app).storage_path / "artifacts"
    folder.rmdir()
    answer = api.client.get("/api/system/health")
    assert (answer.status_code, answer.json["ok"], answer.json["components"]["storage"]["state"]) == (
        503,
        False,
        "down",
    )
    folder.mkdir()
    assert api.client.get("/api/system/health").status_code == 200
