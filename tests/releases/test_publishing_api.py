"""Publishing, stopping and withdrawing by program."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from ota.core.permissions import Role
from ota.db import transaction
from tests.builders.packages import apk
from tests.conftest import Api

pytestmark = pytest.mark.sqlite_suffices

EXTERNAL = {
    "version": "3.0.0",
    "version_code": 30,
    "platform": "android",
    "download_url": "https://files.example.com/a.apk",
    "checksum": "ab" * 32,
}


def test_nothing_is_offered_before_somebody_publishes(api: Api) -> None:
    api.version()
    assert api.check()["reason"] == "no_release"


def test_a_published_version_is_offered_with_its_digest(api: Api) -> None:
    version = api.published(2, "1.1.0")["version"]
    offer = api.check("1.0.0+1")
    assert (offer["version_code"], offer["checksum"], offer["file_size"]) == (
        2,
        version["checksum"],
        version["file_size"],
    )
    assert (
        offer["download_url"] == "https://updates.example.com/downloads/my-app/android/2/my-app-1.1.0-2.apk"
    )


def test_publishing_by_the_published_protocol_finds_an_uploaded_build(api: Api) -> None:
    made = api.version(2, "1.1.0")
    body = {
        "version": "1.1.0",
        "version_code": 2,
        "platform": "android",
        "checksum": f"sha256:{made['checksum'].upper()}",
    }
    answer = api.post("/api/updates/publish", body)
    assert (answer.status_code, answer.json["version"]["id"]) == (201, made["id"])


def test_publishing_a_code_that_is_taken_by_other_bytes_is_refused(api: Api) -> None:
    api.version(2, "1.1.0")
    answer = api.post("/api/updates/publish", {**EXTERNAL, "version": "1.1.0", "version_code": 2})
    assert (answer.status_code, answer.json["code"]) == (409, "version_code_taken")
    assert answer.json["current"]["version"] == "1.1.0"


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"checksum": None}, 400, "checksum_missing", "checksum"),
        ({"checksum": "sha256..."}, 400, "bad_checksum", "checksum"),
        ({"download_url": "ftp://files.example.com/a"}, 400, "bad_download_url", "download_url"),
        ({"download_url": "javascript:alert(1)"}, 400, "bad_download_url", "download_url"),
        ({"download_url": None}, 400, "bad_download_url", "download_url"),
        ({"version_code": -1}, 400, "invalid_field", "version_code"),
        ({"version_code": 2**63}, 400, "invalid_field", "version_code"),
        ({"version_code": 10**40}, 400, "invalid_field", "version_code"),
        ({"version_code": 1.5}, 400, "invalid_field", "version_code"),
        ({"version_code": "2"}, 400, "invalid_field", "version_code"),
        ({"platform": "windows"}, 400, "unknown_platform", "platform"),
        ({"version": ""}, 400, "invalid_field", "version"),
        ({"version": "x" * 51}, 400, "invalid_field", "version"),
        ({"file_size": 0}, 400, "invalid_field", "file_size"),
        ({"app": "nowhere"}, 404, "unknown_app", "app"),
        ({"min_supported_version": "soon"}, 400, "bad_min_supported_version", "min_supported_version"),
        ({"is_mandatry": True}, 400, "unknown_field", "is_mandatry"),
    ],
)
def test_a_wrong_field_is_named(api: Api, change: dict[str, Any], status: int, code: str, field: str) -> None:
    answer = api.post("/api/updates/publish", {**EXTERNAL, **change})
    assert (answer.status_code, answer.json["ok"], answer.json["code"]) == (status, False, code)
    assert answer.json["details"]["field"] == field
    assert api.get("/api/versions").json["versions"] == []


def test_a_missing_field_is_named(api: Api) -> None:
    answer = api.post("/api/updates/publish", {"version": "1.0.0"})
    assert (answer.status_code, answer.json["code"]) == (400, "missing_field")
    assert answer.json["details"]["field"] == "version_code"


def test_deactivating_takes_a_version_out_of_the_answers(api: Api) -> None:
    api.published(1, "1.0.0")
    second = api.published(2, "1.1.0")["version"]
    answer = api.post(f"/api/updates/deactivate/{second['id']}")
    assert answer.json["version"]["is_active"] is False
    assert answer.json["version"]["releases"][0]["state"] == "withdrawn"
    assert api.check("0.9.0+0")["version_code"] == 1


def test_deactivating_what_is_not_active_is_a_conflict(api: Api) -> None:
    made = api.version()
    answer = api.post(f"/api/updates/deactivate/{made['id']}")
    assert (answer.status_code, answer.json["code"], answer.json["current"]["is_active"]) == (
        409,
        "not_active",
        False,
    )


def test_a_withdrawn_version_can_be_activated_again(api: Api) -> None:
    version = api.published()["version"]
    api.post(f"/api/updates/deactivate/{version['id']}")
    again = api.post(f"/api/versions/{version['id']}/activate").json["version"]
    assert (again["is_active"], again["withdrawn_at"], len(again["releases"])) == (True, None, 2)
    assert api.check()["update_available"] is True


def test_rolling_back_offers_the_previous_full_release(api: Api) -> None:
    api.published(1, "1.0.0")
    release = api.published(2, "1.1.0")["release"]
    answer = api.post(f"/api/releases/{release['id']}/rollback")
    assert (answer.json["release"]["state"], answer.json["version"]["is_active"]) == ("rolled_back", False)
    assert "keep it" in answer.json["message"]
    assert api.check("0.9.0+0")["version_code"] == 1


def test_rolling_back_the_only_release_leaves_nothing(api: Api) -> None:
    release = api.published()["release"]
    api.post(f"/api/releases/{release['id']}/rollback")
    assert api.check()["reason"] == "no_release"


def test_rolling_back_twice_is_a_conflict(api: Api) -> None:
    release = api.published()["release"]
    api.post(f"/api/releases/{release['id']}/rollback")
    answer = api.post(f"/api/releases/{release['id']}/rollback")
    assert (answer.status_code, answer.json["code"], answer.json["current"]["state"]) == (
        409,
        "wrong_state",
        "rolled_back",
    )


def test_pausing_stops_offers_and_resuming_brings_them_back(api: Api) -> None:
    release = api.published()["release"]
    assert api.post(f"/api/releases/{release['id']}/pause").json["release"]["state"] == "paused"
    assert api.check()["reason"] == "paused"
    assert api.post(f"/api/releases/{release['id']}/resume").json["release"]["state"] == "active"
    assert api.check()["update_available"] is True


def test_a_halted_release_is_not_offered(api: Api) -> None:
    release = api.published()["release"]
    api.post(f"/api/releases/{release['id']}/halt")
    assert api.check()["reason"] == "halted"


def test_withdrawing_a_release_ends_its_version(api: Api) -> None:
    release = api.published()["release"]
    answer = api.post(f"/api/releases/{release['id']}/withdraw").json
    assert (answer["release"]["state"], answer["version"]["is_active"]) == ("withdrawn", False)
    assert answer["version"]["withdrawn_at"] is not None


def test_a_release_can_start_small_and_be_opened(api: Api) -> None:
    version = api.version()
    started = api.post(f"/api/versions/{version['id']}/releases", {"channel": "stable", "rollout": 0}).json[
        "release"
    ]
    assert api.check()["reason"] == "not_in_rollout"
    opened = api.post(f"/api/releases/{started['id']}/rollout", {"rollout": 10_000}).json["release"]
    assert (opened["rollout"], opened["revision"]) == (10_000, 2)
    assert api.check()["update_available"] is True


@pytest.mark.parametrize("rollout", [0.1, 12.5, -1, 10_001, "50", None])
def test_a_rollout_is_whole_basis_points(api: Api, rollout: object) -> None:
    version = api.version()
    answer = api.post(f"/api/versions/{version['id']}/releases", {"rollout": rollout})
    assert (answer.status_code, answer.json["details"]["field"]) == (400, "rollout")
    assert "basis points" in answer.json["message"]


def test_a_version_without_a_checksum_is_refused_by_the_database_itself(app: Flask) -> None:
    Api(app).version()
    with app.app_context(), pytest.raises(IntegrityError), transaction() as session:
        session.execute(text("UPDATE app_versions SET checksum = NULL, is_active = true"))


def test_a_stale_revision_is_answered_with_the_present_state(api: Api) -> None:
    version = api.version()
    api.patch(f"/api/versions/{version['id']}", {"release_notes": "new", "revision": 1})
    stale = api.post(f"/api/versions/{version['id']}/activate", {"revision": 1})
    assert (stale.status_code, stale.json["code"], stale.json["current"]["revision"]) == (
        409,
        "stale_revision",
        2,
    )
    assert api.post(f"/api/versions/{version['id']}/activate", {"revision": 2}).status_code == 200


def test_a_stale_release_revision_is_refused(api: Api) -> None:
    release = api.published()["release"]
    api.post(f"/api/releases/{release['id']}/pause", {"revision": 1})
    stale = api.post(f"/api/releases/{release['id']}/rollback", {"revision": 1})
    assert (stale.status_code, stale.json["current"]["state"]) == (409, "paused")


def test_of_many_who_publish_at_once_one_wins_and_the_others_see_the_state(app: Flask) -> None:
    for code in range(1, 6):
        version = Api(app).version(code, f"1.{code}.0")
        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(lambda _, v=version: Api(app).post(f"/api/versions/{v['id']}/activate"), range(8))
            )
        assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]
        assert all(answer.json["current"]["is_active"] for answer in answers if answer.status_code == 409)
        assert len(Api(app).get(f"/api/versions/{version['id']}").json["version"]["releases"]) == 1


def test_a_publisher_and_one_who_rolls_back_never_leave_half_a_state(app: Flask) -> None:
    api = Api(app)
    for code in range(1, 5):
        release = api.published(code, f"1.{code}.0")["release"]
        verbs = ["rollback", "pause", "withdraw", "rollback"]
        with ThreadPoolExecutor(4) as pool:
            answers = list(
                pool.map(
                    lambda verb, r=release: Api(app).post(f"/api/releases/{r['id']}/{verb}", {"revision": 1}),
                    verbs,
                )
            )
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        version = api.get(f"/api/versions/{release['version_id']}").json["version"]
        assert version["is_active"] is (version["releases"][0]["state"] == "paused")


def test_versions_are_listed_edited_and_deleted(api: Api) -> None:
    made = api.version()
    assert [version["id"] for version in api.get("/api/versions?platform=android").json["versions"]] == [
        made["id"]
    ]
    assert api.get("/api/versions?platform=ios").json["versions"] == []
    edited = api.patch(
        f"/api/versions/{made['id']}", {"min_supported_version": "1.0.0", "is_mandatory": True}
    ).json["version"]
    assert (edited["min_supported_version"], edited["is_mandatory"], edited["revision"]) == ("1.0.0", True, 2)
    assert (
        api.patch(f"/api/versions/{made['id']}", {"min_supported_version": ""}).json["version"][
            "min_supported_version"
        ]
        is None
    )
    assert api.delete(f"/api/versions/{made['id']}").json["ok"] is True
    assert api.get(f"/api/versions/{made['id']}").status_code == 404


def test_a_deleted_version_can_be_uploaded_again_under_a_new_id(api: Api) -> None:
    made = api.version()
    api.delete(f"/api/versions/{made['id']}")
    assert api.version()["id"] > made["id"]


def test_a_published_version_is_not_deleted(api: Api) -> None:
    version = api.published()["version"]
    assert api.delete(f"/api/versions/{version['id']}").json["code"] == "was_published"


@pytest.mark.parametrize(
    "path", ["/api/versions/99", "/api/versions/99999999999999999999999", "/api/releases/99/pause"]
)
def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    answer = api.post(path) if path.endswith("pause") else api.get(path)
    assert (answer.status_code, answer.json["ok"]) == (404, False)


def test_a_viewer_reads_but_does_not_publish(app: Flask, api: Api) -> None:
    version, viewer = api.version(), Api(app, Role.VIEWER)
    assert viewer.get("/api/versions").status_code == 200
    for path in (
        f"/api/versions/{version['id']}/activate",
        "/api/updates/publish",
        f"/api/updates/deactivate/{version['id']}",
    ):
        assert viewer.post(path, EXTERNAL).status_code == 403
    assert api.get(f"/api/versions/{version['id']}").json["version"]["is_active"] is False


@pytest.mark.parametrize("revision", [0, 2**31, 2**63 - 1, 2**70, "1", 1.5])
def test_a_revision_that_can_not_be_is_refused(api: Api, revision: object) -> None:
    release = api.published()["release"]
    for path in (f"/api/releases/{release['id']}/pause", f"/api/updates/deactivate/{release['version_id']}"):
        answer = api.post(path, {"revision": revision})
        assert (answer.status_code, answer.json["details"]["field"]) == (400, "revision")


def test_publishing_an_uploaded_build_takes_the_notes_and_flags_along(api: Api) -> None:
    api.upload(apk(version="1.1.0", code=2), release_notes="from the upload")
    kept = api.post(
        "/api/updates/publish",
        {"version": "1.1.0", "version_code": 2, "platform": "android", "is_mandatory": True},
    )
    assert (kept.json["version"]["release_notes"], kept.json["version"]["is_mandatory"]) == (
        "from the upload",
        True,
    )


def test_publishing_with_another_size_is_a_contradiction(api: Api) -> None:
    api.version(2, "1.1.0")
    answer = api.post(
        "/api/updates/publish", {"version": "1.1.0", "version_code": 2, "platform": "android", "file_size": 5}
    )
    assert (answer.status_code, answer.json["code"]) == (409, "version_code_taken")


def test_an_upload_of_bytes_that_were_added_by_address_is_explained(api: Api) -> None:
    build = apk(version="3.0.0", code=30)
    digest = hashlib.sha256(build).hexdigest()
    assert api.post("/api/updates/publish", {**EXTERNAL, "checksum": digest}).status_code == 201
    assert api.upload(build)["reason_code"] == "lives_elsewhere"
