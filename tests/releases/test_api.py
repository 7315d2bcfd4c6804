"""Releases by program: terms, schedules, promotion, rollback in one call, history, and refusals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from ota import catalogs
from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Role
from ota.core.platforms import Platform
from ota.db import transaction
from ota.models import DeviceGroup, DeviceGroupMember, Release
from ota.web.journal import hashed
from tests.conftest import Api
from tests.releases.given import channel, make

pytestmark = pytest.mark.sqlite_suffices


def group(name: str, *devices: str) -> None:
    with transaction() as session:
        app = apps.find(session, None)
        row = DeviceGroup(app_id=app.id, name=name, created_at=utcnow())
        session.add(row)
        session.flush()
        for device in devices:
            session.add(
                DeviceGroupMember(
                    group_id=row.id, device_hash=hashed(device), added_at=utcnow(), added_by="test"
                )
            )
        catalogs.touch(session, app.id)


def start(api: Api, version_id: int, **terms: Any) -> Any:
    return api.post(f"/api/versions/{version_id}/releases", terms)


def status_of(api: Api, path: str) -> int:
    with api.client.get(path) as answer:
        return answer.status_code


def test_a_release_starts_when_it_is_told_to(app: Flask, api: Api) -> None:
    with app.app_context():
        version_id = make(2)
        at = utcnow() + timedelta(hours=1)
        made = start(api, version_id, starts_at=at.isoformat())
        assert made.status_code == 201
        assert api.check()["reason"] == "no_release"
        with transaction() as session:
            row = session.get_one(Release, made.json["release"]["id"])
            row.starts_at = utcnow() - timedelta(seconds=1)
            catalogs.touch(session, row.version.app_id)
    assert api.check()["version_code"] == 2


def test_a_file_can_not_be_had_before_its_release_starts(api: Api) -> None:
    made = api.version()
    path = made["download_url"].removeprefix("https://updates.example.com")
    at = utcnow() + timedelta(hours=1)
    release = start(api, made["id"], starts_at=at.isoformat()).json["release"]
    assert status_of(api, path) == 404
    assert api.patch(f"/api/releases/{release['id']}", {"starts_at": None}).status_code == 200
    assert status_of(api, path) == 200
    late = api.patch(f"/api/releases/{release['id']}", {"starts_at": at.isoformat()})
    assert (late.status_code, late.json["code"]) == (409, "already_started")


def test_members_of_a_group_are_in_whatever_the_rollout(app: Flask, api: Api) -> None:
    with app.app_context():
        group("testers", "tester")
        version_id = make(2)
    release = start(api, version_id, rollout=0, groups=["testers"]).json["release"]
    assert release["groups"] == ["testers"]
    assert api.check(device_id="tester")["version_code"] == 2
    assert api.check(device_id="other")["reason"] == "not_in_rollout"
    assert api.patch(f"/api/releases/{release['id']}", {"groups": []}).json["release"]["groups"] == []
    assert api.check(device_id="tester")["reason"] == "not_in_rollout"


def test_promotion_offers_the_same_version_on_another_channel(app: Flask, api: Api) -> None:
    with app.app_context():
        channel("beta", falls_back_to="stable")
    made = api.version()
    release = start(api, made["id"], channel="beta").json["release"]
    assert (api.check()["reason"], api.check(channel="beta")["version_code"]) == (
        "no_release",
        made["version_code"],
    )
    promoted = api.post(f"/api/releases/{release['id']}/promote", {"channel": "stable", "rollout": 10_000})
    assert (promoted.status_code, promoted.json["release"]["channel"], promoted.json["version"]["id"]) == (
        201,
        "stable",
        made["id"],
    )
    assert api.check()["checksum"] == api.check(channel="beta")["checksum"] == made["checksum"]
    assert (
        api.post(f"/api/releases/{release['id']}/promote", {"channel": "beta"}).json["code"] == "same_channel"
    )
    assert (
        api.post(f"/api/releases/{release['id']}/promote", {"channel": "stable"}).json["code"]
        == "already_released"
    )
    assert (
        api.post(f"/api/releases/{release['id']}/promote", {"channel": "nowhere"}).json["code"]
        == "unknown_channel"
    )


def test_one_call_rolls_back_what_a_channel_offers_first(app: Flask, api: Api) -> None:
    with app.app_context():
        one, two = make(1), make(2)
    start(api, one)
    start(api, two)
    call = {"platform": "android", "channel": "stable", "reason": "crashes at start"}
    assert api.post("/api/updates/rollback", call).json["release"]["reason"] == "crashes at start"
    assert api.check("0.1.0+0")["version_code"] == 1
    assert api.post("/api/updates/rollback", call).status_code == 200
    assert api.check("0.1.0+0")["reason"] == "no_release"
    nothing = api.post("/api/updates/rollback", call)
    assert (nothing.status_code, nothing.json["code"]) == (409, "nothing_released")
    assert start(api, two).status_code == 201
    assert api.check("0.1.0+0")["version_code"] == 2


def test_the_history_tells_everything_in_order(app: Flask, api: Api) -> None:
    with app.app_context():
        number = start(api, make(1), rollout=1_000).json["release"]["id"]
    for verb, body in (
        ("rollout", {"rollout": 2_000}),
        ("pause", {"reason": "looking"}),
        ("resume", None),
        ("rollback", None),
    ):
        assert api.post(f"/api/releases/{number}/{verb}", body).status_code == 200
    found = api.get(f"/api/releases/{number}").json
    assert [(event["action"], event["after"]["revision"]) for event in found["history"]] == [
        ("release.started", 1),
        ("release.rollout_changed", 2),
        ("release.paused", 3),
        ("release.resumed", 4),
        ("release.rolled_back", 5),
    ]
    assert found["history"][1]["before"] == {"rollout": 1_000}
    assert found["history"][2]["after"]["reason"] == "looking"
    assert all(event["actor"].startswith("publisher@example.com") for event in found["history"])
    assert [each["id"] for each in api.get("/api/releases").json["releases"]] == [number]
    assert api.get("/api/releases?live=true").json["releases"] == []


def test_terms_can_be_changed_and_cleared(app: Flask, api: Api) -> None:
    with app.app_context():
        number = start(api, make(3), critical_from="1.1.0+1", critical_below="1.2.0+2").json["release"]["id"]
    assert (api.check("1.1.0+1")["is_mandatory"], api.check("1.0.0+0")["is_mandatory"]) == (True, False)
    deadline = (utcnow() - timedelta(minutes=1)).isoformat()
    api.patch(
        f"/api/releases/{number}", {"mandatory_from": deadline, "critical_from": None, "critical_below": None}
    )
    assert (api.check("1.1.0+1")["is_mandatory"], api.check("1.0.0+0")["is_mandatory"]) == (True, True)
    cleared = api.patch(f"/api/releases/{number}", {"mandatory_from": None}).json["release"]
    assert (cleared["mandatory_from"], cleared["critical_below"]) == (None, None)
    assert api.check("1.0.0+0")["is_mandatory"] is False


def test_a_floor_is_not_jumped_and_can_not_be_closed_by_its_rollout(app: Flask, api: Api) -> None:
    with app.app_context():
        one, two = make(1), make(2)
    floor = start(api, one, is_floor=True).json["release"]
    start(api, two)
    assert [api.check(current)["version_code"] for current in ("0.1.0+0", "1.1.0+1")] == [1, 2]
    lowered = api.post(f"/api/releases/{floor['id']}/rollout", {"rollout": 500})
    assert (lowered.status_code, lowered.json["code"]) == (400, "floor_unreachable")
    assert api.patch(f"/api/releases/{floor['id']}", {"is_floor": False}).status_code == 200
    assert api.check("0.1.0+0")["version_code"] == 2


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"rollout": 0.1}, "invalid_field"),
        ({"rollout": 10_001}, "invalid_field"),
        ({"starts_at": "2020-01-01T00:00:00Z"}, "start_in_past"),
        ({"starts_at": "2999-01-01T00:00:00Z"}, "start_too_far"),
        ({"starts_at": "2999-01-01T00:00:00"}, "invalid_field"),
        ({"starts_at": "tomorrow"}, "invalid_field"),
        ({"groups": ["nobody"]}, "unknown_group"),
        ({"plan": [{"rollout": 5_000, "soak_minutes": 60}, {"rollout": 1_000}]}, "bad_plan"),
        ({"plan": [{"rollout": 0.1, "soak_minutes": 60}, {"rollout": 1_000}]}, "invalid_field"),
        ({"plan": [{"rollout": 500, "soak_minutes": 60}, {"rollout": 1_000}], "rollout": 600}, "bad_plan"),
        ({"is_floor": True, "rollout": 500}, "floor_unreachable"),
        (
            {"is_floor": True, "plan": [{"rollout": 500, "soak_minutes": 60}, {"rollout": 10_000}]},
            "floor_unreachable",
        ),
        ({"critical_below": "soon"}, "bad_critical"),
        ({"critical_from": "1.0.0"}, "bad_critical"),
        ({"critical_from": "2.0.0", "critical_below": "1.0.0"}, "bad_critical"),
        ({"channel": "nowhere"}, "unknown_channel"),
        ({"sooner": True}, "unknown_field"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_terms_that_can_not_be_are_refused_with_a_sentence(
    app: Flask, api: Api, terms: dict[str, Any], code: str
) -> None:
    with app.app_context():
        version_id = make(1)
    refused = start(api, version_id, **terms)
    assert refused.status_code in {400, 404}
    assert refused.json["code"] == code
    assert len(refused.json["message"]) > 20
    assert api.check()["reason"] == "no_release"
    assert api.get("/api/releases").json["releases"] == []


def test_a_viewer_looks_and_changes_nothing(app: Flask, api: Api) -> None:
    with app.app_context():
        number = start(api, make(1)).json["release"]["id"]
    viewer = Api(app, Role.VIEWER)
    assert viewer.get("/api/releases").status_code == viewer.get(f"/api/releases/{number}").status_code == 200
    assert viewer.patch(f"/api/releases/{number}", {"is_floor": True}).status_code == 403
    for verb in ("advance", "promote", "rollout", "pause", "resume", "halt", "rollback", "withdraw"):
        assert viewer.post(f"/api/releases/{number}/{verb}", {}).status_code == 403
    for path in (
        "/api/updates/rollback",
        "/api/experiments",
        "/api/proposals/1/approve",
        "/api/proposals/1/decline",
    ):
        assert viewer.post(path, {}).status_code == 403


def test_a_stale_revision_shows_what_is_there_now(app: Flask, api: Api) -> None:
    with app.app_context():
        number = start(api, make(1)).json["release"]["id"]
    api.post(f"/api/releases/{number}/pause", {"revision": 1})
    for path, body in (
        (f"/api/releases/{number}/rollback", {}),
        (f"/api/releases/{number}/rollout", {"rollout": 500}),
    ):
        stale = api.post(path, {**body, "revision": 1})
        assert (stale.status_code, stale.json["code"], stale.json["current"]["state"]) == (
            409,
            "stale_revision",
            "paused",
        )
    stale = api.patch(f"/api/releases/{number}", {"groups": [], "revision": 1})
    assert (stale.status_code, stale.json["current"]["revision"]) == (409, 2)


def test_a_file_elsewhere_may_say_what_it_needs(app: Flask, api: Api) -> None:
    body = {
        "version": "2.0.0",
        "version_code": 2,
        "platform": "android",
        "download_url": "https://files.example.com/a.apk",
        "checksum": "ab" * 32,
        "min_sdk": 30,
    }
    assert api.post("/api/updates/publish", body).status_code == 201
    assert [api.check(sdk=sdk)["reason"] for sdk in (29, 30, None)] == [
        "os_too_old",
        "update_available",
        "update_available",
    ]
    with app.app_context():
        make(1, platform=Platform.IOS, min_os="16.4")
    ios = api.get("/api/versions?platform=ios").json["versions"][0]["id"]
    start(api, ios)
    checks = [api.check(platform="ios", os_version=version)["reason"] for version in ("16.3", "16.4", "17")]
    assert checks == ["os_too_old", "update_available", "update_available"]
