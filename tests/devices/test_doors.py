"""Single devices: looking them up, listing and forgetting them, on pages and by the API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from ota.clock import utcnow
from ota.core.permissions import Role
from ota.db import reader, transaction
from ota.devices import devices
from ota.models import (
    App,
    CheckCount,
    Device,
    DeviceGroupMember,
    Event,
    ReleaseDevice,
    UpdateCheck,
    UpdateCompletion,
)
from tests.conftest import EMAILS, Api, bearer, csrf_of, drain
from tests.releases.given import words_of

WHERE = "/apps/my-app/devices"
ID = "phone/of Änna?"
HASH = devices.hashed("k" * 64, ID)


@pytest.fixture
def lived(app: Flask, api: Api) -> Flask:
    """A tester's device that was offered 1.1.0, installed it and crashed, and another device."""
    group = api.post("/api/groups", {"name": "Testers"}).json["group"]["id"]
    api.post(f"/api/groups/{group}/devices", {"add": [ID]})
    api.published(2, "1.1.0")
    for _ in range(3):
        api.check("1.0.0+1", device_id=ID, sdk=34, abis=["arm64-v8a"])
    api.check("1.1.0+2", device_id=ID)
    crash = {
        "event_id": "<b>1",
        "event": "crash",
        "version": "1.1.0+2",
        "signature": "<script>alert(1)</script>",
        "duration_ms": 2500,
    }
    api.client.post("/api/updates/events", json={"device_id": ID, "platform": "android", "events": [crash]})
    api.check("1.0.0+1", device_id="other")
    drain(app)
    return app


def story(api: Api, **query: Any) -> Any:
    return api.client.get("/api/devices", query_string={"device_id": ID, **query}, headers=bearer(api.role))


def test_a_device_is_found_by_its_id_and_by_its_hash(lived: Flask, api: Api) -> None:
    found = story(Api(lived, Role.VIEWER)).json
    assert found == {**story(api, device_id=HASH).json}
    (device,) = found["devices"]
    assert (device["device_hash"], device["app_version"], device["sdk"], device["abis"]) == (
        HASH,
        "1.1.0+2",
        34,
        ["arm64-v8a"],
    )
    assert found["groups"] == ["Testers"]
    (journey,) = found["releases"]
    assert (journey["version"], journey["is_control"], journey["failure"]) == ("1.1.0", False, "crash")
    assert None not in {journey["offered_at"], journey["installed_at"], journey["failed_at"]}
    moments = sorted(
        (each["what"], each.get("version"), each.get("offered"), each.get("reason"))
        for each in found["moments"]
    )
    assert moments == [
        ("check", "1.0.0+1", "1.1.0", "update_available"),
        ("check", "1.0.0+1", "1.1.0", "update_available"),
        ("check", "1.0.0+1", "1.1.0", "update_available"),
        ("check", "1.1.0+2", None, "up_to_date"),
        ("completion", "1.0.0+1", None, None),
        ("crash", "1.1.0+2", None, None),
    ]
    assert "1.1.0+2" in found["message"]


def test_a_timeline_is_paged_by_time_and_no_moment_is_lost(lived: Flask, api: Api) -> None:
    moments: list[Any] = []
    before: str | None = None
    for _ in range(10):
        page = story(api, limit=2, **({"before": before} if before else {})).json
        moments += page["moments"]
        before = page["before"]
        if before is None:
            break
    assert moments == story(api).json["moments"]
    assert len(moments) == 6


def test_moments_of_one_time_stay_together(lived: Flask, api: Api) -> None:
    at = utcnow() - timedelta(hours=1)
    with lived.app_context(), transaction() as session:
        session.add_all(
            Event(app_id=1, device_id=HASH, event_id=f"same {number}", kind="anr", at=at, received_at=at)
            for number in range(30)
        )
    first = story(api, limit=8).json
    assert len(first["moments"]) == 36
    assert first["before"] is None
    rest = story(api, limit=3, before=story(api, limit=6).json["before"]).json
    assert ([each["what"] for each in rest["moments"]], rest["before"]) == (["anr"] * 30, None)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"device_id": "nobody"}, 404, "unknown_device"),
        ({"device_id": ""}, 400, "invalid_field"),
        ({"device_id": "x" * 201}, 400, "invalid_field"),
        ({"limit": 0}, 400, "invalid_field"),
        ({"before": "yesterday"}, 400, "invalid_field"),
        ({"before": "2026-03-01T12:00:00"}, 400, "invalid_field"),
        ({"app": "nobodys"}, 404, "unknown_app"),
    ],
)
def test_wrong_questions_are_refused(
    lived: Flask, api: Api, query: dict[str, Any], status: int, code: str
) -> None:
    answer = story(api, **query)
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_the_device_of_another_app_is_not_found(lived: Flask, api: Api) -> None:
    with lived.app_context(), transaction() as session:
        app = session.get_one(App, 1)
        session.add(App(slug="second", name="Second", created_at=app.created_at))
    assert story(api, app="second").json["code"] == "unknown_device"
    assert Api(lived, Role.VIEWER).get("/api/apps/second/devices").json["devices"] == []


@pytest.fixture
def many(app: Flask) -> Iterator[Flask]:
    """Thirteen Android devices, the n-th not seen for n days, even ones on 1.0.0+1; and one iPhone."""
    now = utcnow()
    with app.app_context():
        with transaction() as session:
            for number in range(13):
                seen = now - timedelta(days=min(number, 11))  # Some are seen at the same time.
                session.add(
                    Device(
                        app_id=1,
                        platform="ios" if number == 12 else "android",
                        device_hash=f"{number:064}",
                        first_seen_at=seen,
                        app_version="<i>" if number == 12 else f"1.{number % 2}.0+{number % 2 + 1}",
                        last_seen_at=seen,
                    )
                )
            session.add(
                Device(
                    app_id=1,
                    platform="android",
                    device_hash=f"{99:064}",
                    app_version="1.0.0+1",
                    first_seen_at=now,
                    last_seen_at=now - timedelta(days=11),
                )
            )
        yield app


def hashes(answer: Any) -> list[int]:
    return [int(each["device_hash"]) for each in answer["devices"]]


def test_devices_are_listed_by_when_they_were_seen_last_page_by_page(many: Flask, api: Api) -> None:
    listed, after = [], ""
    for _ in range(5):
        page = api.get(f"/api/apps/my-app/devices?limit=5{after}").json
        listed += hashes(page)
        after = f"&after={page['next']}"
        if page["next"] is None:
            break
    assert sorted(listed) == [*range(12), 99]
    assert listed[:11] == list(range(11))
    assert sorted(hashes(api.get("/api/apps/my-app/devices?unseen_days=10").json)) == [10, 11, 99]
    assert hashes(api.get("/api/apps/my-app/devices?version=1.1.0%2B2").json) == [1, 3, 5, 7, 9, 11]
    assert hashes(api.get("/api/apps/my-app/devices?platform=ios").json) == [12]
    for wrong in ("after=x", "after=1-2-3", "limit=0", "limit=201", "unseen_days=0", "platform=windows"):
        assert api.get(f"/api/apps/my-app/devices?{wrong}").status_code == 400, wrong
    assert hashes(api.get("/api/apps/my-app/devices?limit=2&after=99999999999999999-9999999999").json) == [
        0,
        1,
    ]


def test_the_page_lists_and_filters_and_escapes(many: Flask, sign_in: Callable[..., FlaskClient]) -> None:
    browser = sign_in(EMAILS[Role.VIEWER])
    assert browser.get(WHERE).text.count("data-href") == 13
    assert browser.get(f"{WHERE}?unseen=7").text.count("data-href") == 6
    assert browser.get(f"{WHERE}?unseen=x&version=1.1.0%2B2").text.count("data-href") == 6
    ios = browser.get(f"{WHERE}?platform=ios").text
    assert "&lt;i&gt;" in ios
    assert "<i>" not in ios
    assert "card empty" in browser.get(f"{WHERE}?platform=ios&unseen=30").text
    assert browser.get(f"{WHERE}?after=nonsense").status_code == 400


def test_the_empty_page_explains_how_devices_get_there(
    app: Flask, sign_in: Callable[..., FlaskClient]
) -> None:
    page = sign_in().get(WHERE).text
    assert ("card empty" in page, "keeps nothing" in page) == (True, False)
    with app.app_context(), transaction() as session:
        session.get_one(App, 1).keeps_devices = False
    assert "keeps nothing" in sign_in().get(WHERE).text


def test_looking_up_keeps_the_id_out_of_addresses(lived: Flask, sign_in: Callable[..., FlaskClient]) -> None:
    browser = sign_in(EMAILS[Role.VIEWER])
    token = csrf_of(browser.get(WHERE))
    answer = browser.post(WHERE, data={"csrf_token": token, "device_id": f" {ID} "})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{WHERE}/{HASH}")
    page = browser.get(answer.headers["Location"])
    shown = words_of(page)
    assert "phone/of Änna? Runs 1.1.0+2 on Android" in shown
    assert "3 checks on 1.0.0+1 : offered 1.1.0" in shown
    assert "Check on 1.1.0+2 : nothing, up to date" in shown
    assert "Updated from 1.0.0+1 to 1.1.0+2" in shown
    assert "Crash with 1.1.0+2 2.5 s" in shown
    assert "on stable failed offered" in shown  # Its journey in the release.
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert(1)" not in page.text
    assert f"device={HASH}" in page.text  # The link to Explain.
    assert "Forget this device" not in page.text
    nobody = browser.post(WHERE, data={"csrf_token": token, "device_id": "nobody"})
    assert (nobody.status_code, 'class="wrong"' in nobody.text or "notice-bad" in nobody.text) == (422, True)
    assert browser.post(WHERE, data={"csrf_token": token, "device_id": ""}).status_code == 422
    other = sign_in().get(f"{WHERE}/{HASH}")
    assert "Änna" not in other.text
    assert "id is not kept" in other.text
    assert browser.get(f"{WHERE}/{'0' * 64}").status_code == 404
    assert browser.get(f"{WHERE}/{HASH}?before=nonsense").status_code == 404


def stored_rows(app: Flask) -> dict[str, int]:
    with app.app_context():
        counted = {
            model.__tablename__: reader().scalar(
                select(func.count()).select_from(model).where(column == HASH)
            )
            or 0
            for model, column in (
                (Device, Device.device_hash),
                (UpdateCheck, UpdateCheck.device_id),
                (UpdateCompletion, UpdateCompletion.device_id),
                (Event, Event.device_id),
                (ReleaseDevice, ReleaseDevice.device_id),
                (DeviceGroupMember, DeviceGroupMember.device_hash),
            )
        }
        reader().rollback()
        return counted


def test_an_administrator_forgets_a_device_by_program(lived: Flask, api: Api) -> None:
    assert set(stored_rows(lived).values()) == {1, 4}
    path = {"path": "/api/devices", "query_string": {"device_id": ID}}
    assert api.client.delete(**path, headers=bearer(api.role)).status_code == 403
    admin = Api(lived, Role.ADMIN)
    answer = admin.client.delete(**path, headers=bearer(admin.role))
    assert (answer.status_code, answer.json["rows"]) == (200, 9)
    assert set(stored_rows(lived).values()) == {0}
    assert story(api).status_code == 404
    assert admin.client.delete(**path, headers=bearer(admin.role)).status_code == 404
    with lived.app_context():
        assert reader().scalar(select(func.sum(CheckCount.checks))) == 5
        assert reader().scalar(select(func.count()).select_from(Device)) == 1


def test_an_administrator_forgets_a_device_on_its_page(
    lived: Flask, sign_in: Callable[..., FlaskClient]
) -> None:
    browser = sign_in(EMAILS[Role.ADMIN])
    assert "Forget this device" in browser.get(f"{WHERE}/{HASH}").text
    confirm = browser.get(f"{WHERE}/{HASH}/forget")
    assert "in Testers" in words_of(confirm)
    assert (
        browser.post(f"{WHERE}/{HASH}/forget", data={"csrf_token": csrf_of(confirm)}).headers["Location"]
        == WHERE
    )
    assert set(stored_rows(lived).values()) == {0}
    assert "forgot a device" in browser.get("/apps/my-app/activity").text
    assert sign_in().get(f"{WHERE}/{HASH}/forget").status_code == 403
    assert browser.get(f"{WHERE}/{HASH}/forget").status_code == 404


def test_an_id_that_looks_like_a_hash_is_an_id_first(lived: Flask, api: Api) -> None:
    api.check("1.0.0+1", device_id=HASH)
    drain(lived)
    assert story(api, device_id=HASH).json["device_hash"] == devices.hashed("k" * 64, HASH)
    assert story(api).json["device_hash"] == HASH


def test_the_id_of_a_device_that_was_looked_up_stays_out_of_the_address_of_its_explanation(
    lived: Flask, sign_in: Callable[..., FlaskClient]
) -> None:
    browser = sign_in(EMAILS[Role.VIEWER])
    found = browser.post(WHERE, data={"csrf_token": csrf_of(browser.get(WHERE)), "device_id": ID})
    page = browser.get(found.headers["Location"]).text
    link = unescape(re.findall(r'href="([^"]*/explain\?[^"]*)"', page)[0])
    assert f"device={HASH}" in link
    assert "device_id" not in link
    explained = browser.get(link)
    assert explained.status_code == 200
    assert f'<dt>Device id</dt><dd class="mono">{ID}</dd>' in explained.text
    assert "Testers" in words_of(explained)
    assert f'<input type="hidden" name="device" value="{HASH}">' in explained.text
    other = sign_in(EMAILS[Role.ADMIN]).get(link)
    assert (other.status_code, "look the device up" in other.text) == (422, True)
