"""A block of the preflight stops every door, and only an administrator makes exceptions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from ota.core.permissions import Role
from tests.builds.given import NEW, OLD, allow, checks_of
from tests.conftest import EMAILS, Api, csrf_of

pytestmark = pytest.mark.sqlite_suffices


def test_external_files_can_be_forbidden(api: Api, sign_in: Callable[..., FlaskClient]) -> None:
    allow(sign_in(EMAILS[Role.ADMIN]))
    body = {
        "version": "3.0.0",
        "version_code": 30,
        "platform": "android",
        "download_url": "https://files.example.com/a.apk",
    }
    answer = api.post("/api/updates/publish", {**body, "checksum": "ab" * 32})
    assert (answer.status_code, answer.json["code"]) == (409, "preflight_blocked")
    assert api.get("/api/versions").json["versions"] == []


def test_an_exception_that_has_ended_is_no_reason_to_resume_or_widen(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    browser = sign_in(EMAILS[Role.ADMIN])
    allow(browser, "allows_debuggable")
    made = api.version(application={"debuggable": True})
    release = api.post(f"/api/versions/{made['id']}/releases", {"rollout": 100}).json["release"]
    allow(browser)
    assert (
        api.post(f"/api/releases/{release['id']}/rollout", {"rollout": 200}).json["code"]
        == "preflight_blocked"
    )
    assert api.post(f"/api/releases/{release['id']}/rollout", {"rollout": 50}).status_code == 200
    api.post(f"/api/releases/{release['id']}/pause")
    assert api.post(f"/api/releases/{release['id']}/resume").json["code"] == "preflight_blocked"


def test_a_block_stops_every_door(api: Api) -> None:
    first, second = api.version(1, by=OLD), api.version(2, "1.1.0", by=NEW)
    api.post(f"/api/versions/{first['id']}/activate")
    assert checks_of(api, second)["signer"]["verdict"] == "block"
    assert api.get(f"/api/versions/{second['id']}/preflight").json["blocked"] is True
    body = {"version": "1.1.0", "version_code": 2, "platform": "android", "checksum": second["checksum"]}
    for path, sent in (
        (f"/api/versions/{second['id']}/activate", None),
        (f"/api/versions/{second['id']}/releases", {"rollout": 100}),
        ("/api/updates/publish", body),
    ):
        answer = api.post(path, sent)
        assert (answer.status_code, answer.json["code"]) == (409, "preflight_blocked"), path
        assert {"name", "verdict", "message"} <= set(answer.json["details"]["checks"][0])
    assert api.check("0.9.0+0")["version_code"] == 1
    assert api.get(f"/api/versions/{second['id']}").json["version"]["is_active"] is False


def test_a_debug_build_is_blocked_until_the_app_allows_it(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    made = api.version(application={"debuggable": True})
    assert checks_of(api, made)["debuggable"]["verdict"] == "block"
    assert api.post(f"/api/versions/{made['id']}/activate").status_code == 409
    allow(sign_in(EMAILS[Role.ADMIN]), "allows_debuggable")
    assert checks_of(api, made)["debuggable"]["verdict"] == "warn"
    assert api.post(f"/api/versions/{made['id']}/activate").status_code == 200


def test_a_stale_exception_is_a_conflict(sign_in: Callable[..., FlaskClient]) -> None:
    browser = sign_in(EMAILS[Role.ADMIN])
    page = browser.get("/apps/my-app/settings")
    answer = browser.post(
        "/apps/my-app/trust", data={"csrf_token": csrf_of(page), "revision": "99", "allows_v1_only": "y"}
    )
    assert answer.status_code == 409


def test_only_administrators_make_exceptions(sign_in: Callable[..., FlaskClient]) -> None:
    browser = sign_in(EMAILS[Role.PUBLISHER])
    page = browser.get("/account")
    for path in ("/apps/my-app/trust", "/apps/my-app/signer/android/forget"):
        assert browser.post(path, data={"csrf_token": csrf_of(page), "revision": "1"}).status_code == 403


def test_an_external_file_was_never_read_and_the_preflight_warns(api: Api) -> None:
    body = {
        "version": "3.0.0",
        "version_code": 30,
        "platform": "android",
        "download_url": "https://files.example.com/a.apk",
        "checksum": "ab" * 32,
    }
    made = api.post("/api/updates/publish", body).json["version"]
    assert made["build"] is None
    assert checks_of(api, made)["signature"]["verdict"] == "warn"


def test_no_approval_is_asked_for_what_the_preflight_blocks(api: Api) -> None:
    admin = Api(api.app, Role.ADMIN)
    stable = admin.get("/api/channels").json["channels"][0]
    admin.patch(f"/api/channels/{stable['id']}", {"approval_above": 100})
    made = api.version(application={"debuggable": True})
    answer = api.post(f"/api/versions/{made['id']}/releases", {})
    assert (answer.status_code, answer.json["code"]) == (409, "preflight_blocked")
    assert api.get("/api/proposals").json["proposals"] == []
