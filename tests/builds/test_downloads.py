"""Downloads: byte for byte, resumable, and closed as soon as the version is withdrawn."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from ota.apps import apps
from ota.clock import utcnow
from ota.config import Settings
from ota.db import transaction
from ota.history.audit import SYSTEM
from ota.parts import part
from tests.builders.packages import apk
from tests.conftest import Api

pytestmark = pytest.mark.sqlite_suffices

BUILD = apk(version="1.1.0", code=2, content=bytes(range(256)) * 3_000)
DIGEST = hashlib.sha256(BUILD).hexdigest()
PATH = "/downloads/my-app/android/2/my-app-1.1.0-2.apk"


@pytest.fixture
def live(api: Api) -> Api:
    """An API whose app offers the build to all devices."""
    version = api.upload(BUILD)["version"]
    assert api.post(f"/api/versions/{version['id']}/activate").status_code == 200
    return api


def get(api: Api, **headers: str) -> TestResponse:
    answer = api.client.get(PATH, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer.get_data()
    answer.close()
    return answer


def test_the_file_comes_byte_for_byte_with_what_a_phone_needs(live: Api) -> None:
    answer = get(live)
    assert (answer.status_code, answer.data == BUILD) == (200, True)
    assert answer.headers["Content-Type"] == "application/vnd.android.package-archive"
    assert answer.headers["Content-Length"] == str(len(BUILD))
    assert answer.headers["ETag"] == f'"{DIGEST}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my-app-1.1.0-2.apk"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_head_has_the_same_headers_and_no_bytes(live: Api) -> None:
    answer = live.client.head(PATH)
    assert (answer.status_code, answer.headers["Content-Length"], answer.data) == (200, str(len(BUILD)), b"")
    assert answer.headers["ETag"] == f'"{DIGEST}"'


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-99", 0, 100), ("bytes=1000-", 1000, None), ("bytes=-50", -50, None), ("bytes=5-5", 5, 6)],
)
def test_a_range_is_answered_with_that_part(live: Api, asked: str, start: int, end: int | None) -> None:
    answer = get(live, Range=asked)
    assert (answer.status_code, answer.data == BUILD[start:end]) == (206, True)
    assert answer.headers["Content-Range"].endswith(f"/{len(BUILD)}")


def test_a_resumed_download_adds_up(live: Api) -> None:
    half = len(BUILD) // 2
    first = get(live, Range=f"bytes=0-{half - 1}")
    second = get(live, Range=f"bytes={half}-", If_Range=first.headers["ETag"])
    assert second.status_code == 206
    assert hashlib.sha256(first.data + second.data).hexdigest() == DIGEST


def test_a_resume_of_another_file_starts_over(live: Api) -> None:
    answer = get(live, Range="bytes=1000-", If_Range='"other"')
    assert (answer.status_code, answer.data == BUILD) == (200, True)


@pytest.mark.parametrize("condition", ["weak", '"', "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_resume_with_a_weak_condition_starts_over(live: Api, condition: str) -> None:
    condition = f'W/"{DIGEST}"' if condition == "weak" else condition
    assert get(live, Range="bytes=1000-", If_Range=condition).status_code == 200


def test_a_resume_by_date_goes_on(live: Api) -> None:
    dated = get(live).headers["Last-Modified"]
    assert get(live, Range="bytes=1000-", If_Range=dated).status_code == 206


def test_a_failed_precondition_carries_no_file(live: Api) -> None:
    answer = get(live, If_Match='"other"')
    assert (answer.status_code, answer.data) == (412, b"")


def test_a_range_outside_the_file_is_416(live: Api) -> None:
    answer = get(live, Range=f"bytes={len(BUILD)}-")
    assert (answer.status_code, answer.json["code"]) == (416, "bad_range")
    assert answer.headers["Content-Range"] == f"bytes */{len(BUILD)}"


@pytest.mark.parametrize(
    "asked", ["apples=1-2", "bytes=", "bytes=a-b", "bytes=0-1,5-6", "bytes=--5", "bytes", "bytes=-99999999"]
)
def test_a_range_that_may_be_ignored_brings_the_whole_file(live: Api, asked: str) -> None:
    answer = get(live, Range=asked)
    assert (answer.status_code, len(answer.data)) == (200, len(BUILD))


def test_no_file_stays_open_after_any_kind_of_answer(live: Api) -> None:
    folder = Path("/proc/self/fd")
    before = len(list(folder.iterdir()))
    for headers in (
        {},
        {"Range": "bytes=0-1"},
        {"Range": "bytes=99999999-"},
        {"If_None_Match": f'"{DIGEST}"'},
    ):
        get(live, **headers)
        live.client.head(PATH).close()
    assert len(list(folder.iterdir())) <= before


def test_a_known_etag_is_not_sent_again(live: Api) -> None:
    assert get(live, If_None_Match=f'"{DIGEST}"').status_code == 304


def test_before_publishing_there_is_nothing(api: Api) -> None:
    api.upload(BUILD)
    assert get(api).status_code == 404


def test_after_withdrawal_it_is_gone_and_after_activation_it_is_back(live: Api) -> None:
    version_id = live.get("/api/versions").json["versions"][0]["id"]
    live.post(f"/api/updates/deactivate/{version_id}")
    answer = get(live)
    assert (answer.status_code, answer.json["code"]) == (410, "withdrawn")
    live.post(f"/api/versions/{version_id}/activate")
    assert get(live).status_code == 200


def test_after_a_rollback_it_is_gone_and_while_paused_it_is_not(live: Api) -> None:
    release = live.get("/api/versions").json["versions"][0]["releases"][0]
    live.post(f"/api/releases/{release['id']}/pause")
    assert get(live).status_code == 200
    live.post(f"/api/releases/{release['id']}/rollback")
    assert get(live).status_code == 410


def test_another_apps_file_is_not_found(app: Flask, live: Api) -> None:
    with app.app_context(), transaction() as session:
        apps.create(session, SYSTEM, slug="other", name="Other", now=utcnow())
    for path in (
        PATH.replace("my-app/", "other/"),
        PATH.replace("/2/", "/3/"),
        PATH.replace("android", "ios"),
        PATH.replace("android", "windows"),
        PATH.replace("my-app-1.1.0-2", "something"),
        PATH.replace("/2/", "/99999999999999999999999/"),
        PATH.replace("my-app/", "..%2fmy-app/"),
    ):
        answer = live.client.get(path)
        assert (answer.status_code, answer.json["ok"]) == (404, False), path


def test_an_external_file_is_not_served_from_here(api: Api) -> None:
    body = {
        "version": "1.1.0",
        "version_code": 2,
        "platform": "android",
        "download_url": "https://files.example.com/my-app-1.1.0-2.apk",
        "checksum": "ab" * 32,
    }
    assert api.post("/api/updates/publish", body).status_code == 201
    assert get(api).status_code == 404


def test_a_file_that_the_store_has_lost_is_a_clear_404(live: Api) -> None:
    settings = part(Settings, live.app)
    next(path for path in (settings.storage_path / "artifacts").rglob("*") if path.is_file()).unlink()
    assert get(live).json["code"] == "artifact_missing"
