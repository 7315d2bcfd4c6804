"""Previews: the effect of a release, computed by the decision itself on the active devices."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from ota import catalogs
from ota.apps import apps
from ota.builds import versions
from ota.clock import utcnow
from ota.core.permissions import Role
from ota.core.platforms import Platform
from ota.db import reader, transaction
from ota.devices import devices
from ota.models import Device, DeviceGroup, DeviceGroupMember, Release
from ota.releases import previews
from ota.releases.previews import Preview
from ota.web.journal import hashed
from tests.conftest import EMAILS, Api


def put_devices(
    app: Flask,
    number: int,
    current: str = "1.0.0+1",
    *,
    prefix: str = "d",
    seen: datetime | None = None,
    **more: Any,
) -> list[str]:
    """Add devices that checked lately. Return their ids."""
    ids = [f"{prefix}-{count}" for count in range(number)]
    with app.app_context(), transaction() as session:
        when = seen or utcnow()
        for each in ids:
            session.add(
                Device(
                    app_id=1,
                    platform=Platform.ANDROID,
                    device_hash=hashed(each),
                    app_version=current,
                    version_code=int(current.rpartition("+")[2]) if "+" in current else None,
                    first_seen_at=when,
                    last_seen_at=when,
                    **more,
                )
            )
    return ids


def put_group(app: Flask, name: str, members: list[str]) -> None:
    with app.app_context(), transaction() as session:
        group = DeviceGroup(app_id=1, name=name, created_at=utcnow())
        session.add(group)
        session.flush()
        for each in members:
            session.add(
                DeviceGroupMember(
                    group_id=group.id, device_hash=hashed(each), added_at=utcnow(), added_by="test"
                )
            )


def preview(api: Api, version: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = api.post(f"/api/versions/{version['id']}/preview", body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_everybody_who_runs_something_older_would_get_it(app: Flask, api: Api) -> None:
    api.published(1, "1.0.0")
    put_devices(app, 7)
    put_devices(app, 2, "1.1.0+2", prefix="there")
    put_devices(app, 1, "2.0.0+9", prefix="ahead")
    put_devices(app, 5, prefix="gone", seen=utcnow() - timedelta(days=31))
    found = preview(api, api.version(2, "1.1.0"))
    message = found.pop("message")
    assert ("10" in message, "7" in message) == (True, True)
    assert found == {
        "ok": True,
        "active": 10,
        "offered": 7,
        "mandatory": 0,
        "current": 3,
        "held_back": {},
        "is_simulated": False,
        "is_sampled": False,
    }


def test_a_percentage_reaches_about_so_many_and_nothing_is_made(app: Flask, api: Api) -> None:
    put_devices(app, 400)
    version = api.version(2, "1.1.0")
    found = preview(api, version, rollout=2_500)
    assert 70 <= found["offered"] <= 130
    assert found["held_back"] == {"not_in_rollout": 400 - found["offered"]}
    assert preview(api, version, rollout=2_500) == found
    assert preview(api, version, rollout=0)["offered"] == 0
    with app.app_context():
        assert reader().scalar(select(func.count()).select_from(Release)) == 0


def test_a_wider_rollout_reaches_no_fewer(app: Flask, api: Api) -> None:
    put_devices(app, 100)
    version = api.version(2, "1.1.0")
    offered = [preview(api, version, rollout=rollout)["offered"] for rollout in range(0, 10_001, 1_000)]
    assert offered == sorted(offered)
    assert (offered[0], offered[-1]) == (0, 100)


def test_what_devices_are_holds_them_back_by_reason(app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")
    with app.app_context(), transaction() as session:
        version = versions.get(session, made["version"]["id"])
        version.min_sdk, version.abis = 24, "arm64-v8a"
    put_devices(app, 3, prefix="fits", sdk=30, abis="arm64-v8a,armeabi-v7a")
    put_devices(app, 2, prefix="old", sdk=21)
    put_devices(app, 1, prefix="intel", sdk=30, abis="x86")
    put_devices(app, 1, "1.0.0", prefix="no-build")
    found = api.get(f"/api/releases/{made['release']['id']}/preview").json
    assert (found["offered"], found["held_back"]) == (4, {"os_too_old": 2, "abi_unsupported": 1})


def test_those_whom_it_would_be_mandatory_for_are_counted(app: Flask, api: Api) -> None:
    put_devices(app, 3, "1.0.0+1", prefix="old")
    put_devices(app, 2, "1.5.0+5", prefix="new")
    version = api.version(9, "2.0.0")
    assert preview(api, version)["mandatory"] == 0
    critical = preview(api, version, critical_from="1.0.0", critical_below="1.5.0")
    assert (critical["offered"], critical["mandatory"]) == (5, 3)
    passed = preview(api, version, mandatory_from="2020-01-01T00:00:00Z")
    assert (passed["offered"], passed["mandatory"]) == (5, 5)


def test_a_newer_release_and_a_floor_come_before_it(app: Flask, api: Api) -> None:
    api.published(5, "1.5.0")
    put_devices(app, 4)
    assert preview(api, api.version(3, "1.3.0"))["held_back"] == {"newer_release": 4}
    with app.app_context(), transaction() as session:
        reader().scalars(select(Release)).one().is_floor = True
        catalogs.touch(session, 1)
    assert preview(api, api.version(7, "1.7.0"))["held_back"] == {"floor_first": 4}


def test_the_members_of_its_groups_are_counted_by_name(app: Flask, api: Api) -> None:
    ids = put_devices(app, 20)
    put_group(app, "testers", [*ids[:3], "never-seen"])
    found = preview(api, api.version(2, "1.1.0"), rollout=0, groups=["testers"])
    assert (found["active"], found["offered"], found["held_back"]) == (20, 3, {"not_in_rollout": 17})


def test_of_very_many_a_sample_is_scaled_and_the_members_stay_exact(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "MAX_DECIDED", 50)
    ids = put_devices(app, 300)
    put_devices(app, 100, "1.1.0+2", prefix="there")
    put_group(app, "testers", ids[:4])
    found = preview(api, api.version(2, "1.1.0"), rollout=0, groups=["testers"])
    assert (found["active"], found["offered"], found["is_sampled"]) == (400, 4, True)
    assert 180 <= found["held_back"]["not_in_rollout"] <= 380
    assert abs(found["current"] + found["held_back"]["not_in_rollout"] - 396) <= 1


def test_where_no_device_is_known_some_are_made_up(api: Api) -> None:
    api.published(1, "1.0.0")
    version = api.version(2, "1.1.0")
    found = preview(api, version, rollout=1_000)
    assert (found["is_simulated"], found["active"]) == (True, 1_000)
    assert 60 <= found["offered"] <= 140
    assert found["message"].startswith("No device")
    assert preview(api, version)["offered"] == 1_000
    # Also for the very first build, which no device can run yet.
    older = api.version(0, "0.9.0")
    assert preview(api, older)["current"] == 1_000


def test_a_release_that_stands_is_asked_with_another_percentage(app: Flask, api: Api) -> None:
    api.published(1, "1.0.0")
    put_devices(app, 200)
    made = api.published(2, "1.1.0")
    address = f"/api/releases/{made['release']['id']}/preview"
    assert api.get(address).json["offered"] == 200
    half = api.get(f"{address}?rollout=5000").json
    assert 70 <= half["offered"] <= 130
    # A lower rollout uncovers the previous release, which the devices run already.
    assert half["held_back"] == {"not_in_rollout": 200 - half["offered"]}
    api.post(f"/api/releases/{made['release']['id']}/pause")
    assert api.get(address).json["held_back"] == {"paused": 200}
    api.post(f"/api/releases/{made['release']['id']}/rollback")
    assert (api.get(address).status_code, api.get(address).json["code"]) == (409, "wrong_state")


def test_while_updates_are_shut_off_nobody_gets_it(app: Flask, api: Api) -> None:
    put_devices(app, 3)
    with app.app_context(), transaction() as session:
        apps.find(session, None).is_shut_off = True
    assert preview(api, api.version(2, "1.1.0"))["held_back"] == {"shut_off": 3}


def test_a_scheduled_release_is_looked_at_as_of_its_start(app: Flask, api: Api) -> None:
    put_devices(app, 3)
    made = api.published(2, "1.1.0")
    with app.app_context(), transaction() as session:
        session.get_one(Release, made["release"]["id"]).starts_at = utcnow() + timedelta(days=2)
    assert api.get(f"/api/releases/{made['release']['id']}/preview").json["offered"] == 3


def test_what_the_preview_promises_is_what_the_release_then_does(app: Flask, api: Api) -> None:
    api.published(1, "1.0.0")
    ids = put_devices(app, 40)
    put_group(app, "testers", ids[:5])
    version = api.version(2, "1.1.0")
    with app.app_context():
        now, stable = utcnow(), apps.find_channel(apps.find(reader(), None), None)
        draft = previews.draft(reader(), versions.get(reader(), version["id"]), stable, now=now)
        promised: Preview = previews.preview(reader(), draft, now)
    api.post(f"/api/versions/{version['id']}/activate")
    assert (
        promised.offered
        == sum(api.check("1.0.0+1", device_id=each)["version_code"] == 2 for each in ids)
        == 40
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"rollout": 0.5}, 400, "invalid_field"),
        ({"rollout": 10_001}, 400, "invalid_field"),
        ({"channel": "nowhere"}, 404, "unknown_channel"),
        ({"groups": ["nobody"]}, 404, "unknown_group"),
        ({"critical_below": "spring"}, 400, "bad_critical"),
        ({"critical_from": "1.0.0"}, 400, "bad_critical"),
        ({"is_floor": True, "rollout": 1_000}, 400, "floor_unreachable"),
        ({"starts_at": "2020-01-01T00:00:00Z"}, 400, "start_in_past"),
        ({"critical_from": "1.0.0", "critical_until": "2"}, 400, "unknown_field"),
        ({"mandatory_from": "tomorrow"}, 400, "invalid_field"),
        ({"mandatory_from": "2026-01-01T00:00:00"}, 400, "invalid_field"),
    ],
)
def test_a_release_that_can_not_be_is_refused_in_words(
    api: Api, body: dict[str, Any], status: int, code: str
) -> None:
    version = api.version(2, "1.1.0")
    answer = api.post(f"/api/versions/{version['id']}/preview", body)
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert len(answer.json["message"]) > 20


def test_a_viewer_may_preview_and_the_body_may_be_left_out(app: Flask, api: Api) -> None:
    version = api.version(2, "1.1.0")
    assert Api(app, Role.VIEWER).post(f"/api/versions/{version['id']}/preview").status_code == 200
    assert api.post("/api/versions/99/preview").status_code == 404
    assert api.get("/api/releases/99/preview").status_code == 404


def test_the_fragment_says_it_in_a_sentence(
    app: Flask, api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    made = api.published(2, "1.1.0")
    put_devices(app, 1_200)
    browser = sign_in(EMAILS[Role.VIEWER])
    whole = browser.get("/apps/my-app/versions/1/preview?channel=stable&rollout=100")
    assert whole.status_code == 200
    assert whole.text.startswith('<div id="preview" class="preview" aria-live="polite">')
    assert "about 1,200" in whole.text
    part = browser.get(f"/apps/my-app/releases/{made['release']['id']}/preview?rollout=12.5").text
    assert "Outside the rollout" in part
    assert browser.get(f"/apps/my-app/releases/{made['release']['id']}/preview").text == whole.text


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("rollout=101", "0 to 100 percent"),
        ("rollout=1.005", "At most two decimals"),
        ("rollout=nan", "Expected a number"),
        ("rollout=much", "Expected a number"),
        ("rollout=10&channel=nowhere", "has no channel"),
    ],
)
def test_the_fragment_says_what_is_wrong(
    api: Api, sign_in: Callable[..., FlaskClient], query: str, problem: str
) -> None:
    api.published(2, "1.1.0")
    answer = sign_in().get(f"/apps/my-app/versions/1/preview?{query}")
    assert answer.status_code == 422
    assert 'id="preview"' in answer.text
    assert problem in answer.text


def test_the_devices_that_a_version_leaves_stranded_are_counted(app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")
    put_devices(app, 3, "1.1.0+2", prefix="there")
    put_devices(app, 2, "1.1.0+2", prefix="gone", seen=utcnow() - timedelta(days=31))
    put_devices(app, 4, "1.2.0+3", prefix="newer")
    with app.app_context():
        assert devices.stranded(reader(), versions.get(reader(), made["version"]["id"]), now=utcnow()) == 3
