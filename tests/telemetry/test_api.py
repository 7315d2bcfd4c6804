"""Reports through the API: what is accepted, and how each error is answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app import create_app
from ota.clock import utcnow
from ota.config import Settings
from ota.db import db, reader
from ota.models import ReleaseDevice, UpdateCheck, UpdateCompletion
from ota.parts import part
from ota.web.journal import Reports
from ota.web.limits import place_of
from tests.conftest import Api, drain, settings_for
from tests.telemetry.given import DEVICE, codes, event, kept, send

pytestmark = pytest.mark.sqlite_suffices


def test_a_completed_update_is_taken_and_counts_once(api: Api, app: Flask) -> None:
    api.published(2, "1.1.0")
    api.check("1.0.0+1", device_id="phone")
    body = {**DEVICE, "from_version": "1.0.0+1", "to_version": "1.1.0+2"}
    for _ in range(2):
        answer = api.client.post("/api/updates/complete", json=body)
        assert (answer.status_code, answer.json["ok"]) == (202, True)
    drain(app)
    with app.app_context():
        (done,) = reader().scalars(select(UpdateCompletion))
        assert (done.from_version, done.to_version, done.platform, done.is_inferred) == (
            "1.0.0+1",
            "1.1.0+2",
            "android",
            False,
        )
        assert reader().scalars(select(ReleaseDevice)).one().installed_at is not None


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"to_version": "9.9.9+99"}, 404, "unknown_version"),
        ({"to_version": "spring"}, 400, "bad_version"),
        ({"from_version": ""}, 400, "bad_version"),
        ({"from_version": "v1.1+2"}, 400, "same_version"),
        ({"device_id": " "}, 400, "missing_field"),
        ({"platform": "windows"}, 400, "unknown_platform"),
        ({"app": "nothing"}, 404, "unknown_app"),
        ({"device_id": "x" * 201}, 400, "invalid_field"),
    ],
)
def test_a_completion_that_makes_no_sense_is_refused(
    api: Api, change: dict[str, str], status: int, code: str
) -> None:
    api.published(2, "1.1.0")
    body = {**DEVICE, "from_version": "1.0.0+1", "to_version": "1.1.0+2", **change}
    answer = api.client.post("/api/updates/complete", json=body)
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_valid_events_are_not_lost_because_of_broken_ones(api: Api, app: Flask) -> None:
    api.published(2, "1.1.0")
    now = utcnow()
    answer = send(
        api,
        event(0),
        event(1, event="exploded"),
        event(2, version="9.9.9+99"),
        event(3, version="spring"),
        event(4, at=(now + timedelta(hours=1)).isoformat()),
        event(5, at=(now - timedelta(days=40)).isoformat()),
        event(6, duration_ms=-1),
        event(7, duration_ms="long"),
        {"event": "installed"},
        "not an object",
        None,
        event(11, at="2026-03-01T12:00:00"),
        event(12, event_id=" "),
        event(13, signature="\u0000"),
        event(14, event="crash", signature="x" * 500, text="y" * 10_000),
    )
    assert (answer["ok"], answer["taken"]) == (True, 3)
    assert codes(answer) == [
        (1, "unknown_event"),
        (2, "unknown_version"),
        (3, "bad_version"),
        (4, "event_in_the_future"),
        (5, "event_too_old"),
        (6, "bad_duration"),
        (7, "invalid_field"),
        (8, "missing_field"),
        (9, "invalid_field"),
        (10, "invalid_field"),
        (11, "invalid_field"),
        (12, "missing_field"),
    ]
    assert answer["refused"][0]["event_id"] == "e-1"
    assert answer["refused"][8]["event_id"] is None
    assert all(each["message"].endswith((".", "}")) for each in answer["refused"])
    assert [each.event_id for each in kept(app)] == ["e-0", "e-13", "e-14"]


def test_a_clock_that_is_wrong_by_a_day_is_corrected(api: Api, app: Flask) -> None:
    api.published(2, "1.1.0")
    for number, wrong in enumerate((timedelta(days=1), timedelta(days=-1))):
        shows = utcnow() + wrong
        answer = send(
            api, event(number, at=(shows - timedelta(minutes=10)).isoformat()), sent_at=shows.isoformat()
        )
        assert answer["taken"] == 1
    for each in kept(app):
        assert abs(each.received_at - each.at - timedelta(minutes=10)) < timedelta(seconds=5)


def test_of_a_batch_that_is_too_large_the_first_events_are_accepted(api: Api, app: Flask) -> None:
    api.published(2, "1.1.0")
    answer = send(api, *(event(number) for number in range(503)))
    assert answer["taken"] == 500
    assert codes(answer) == [(number, "batch_too_large") for number in (500, 501, 502)]
    assert len(kept(app)) == 500
    huge = api.client.post("/api/updates/events", json={**DEVICE, "events": [event(text="x" * 5_000_000)]})
    assert (huge.status_code, huge.json["code"]) == (413, "body_too_large")
    assert "at most 500, and 4194304 bytes" in huge.json["message"]
    longest = [
        event(number, event="crash", signature="s" * 200, text="x" * 4_000) for number in range(600, 1_100)
    ]
    assert send(api, *longest)["taken"] == 500
    assert api.client.post("/api/updates/events", json={**DEVICE, "events": []}).status_code == 400


def test_a_repeat_counts_once_also_in_another_batch(api: Api, app: Flask) -> None:
    api.published(2, "1.1.0")
    for _ in range(3):
        assert send(api, event(1), event(1), event(2))["taken"] == 3
    assert [each.event_id for each in kept(app)] == ["e-1", "e-2"]


@contextmanager
def server(settings: Settings, **changes: Any) -> Iterator[tuple[Flask, FlaskClient]]:
    """Another web process with the same database."""
    app = create_app(settings_for(settings.data_path, database_url=settings.database_url, **changes))
    yield app, app.test_client()
    part(Reports, app).close()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def test_an_address_that_forges_a_fleet_is_stopped(settings: Settings, api: Api) -> None:
    api.published(2, "1.1.0")
    with server(settings, report_limit="20 per minute") as (_, client):
        answers = [
            client.post(
                "/api/updates/events", json={**DEVICE, "device_id": f"d{n}", "events": [event(n)] * 5}
            )
            for n in range(6)
        ]
    assert [each.status_code for each in answers] == [202] * 4 + [429] * 2
    assert answers[-1].json["code"] == "too_many"


def checks_of(app: Flask) -> int:
    drain(app)
    with app.app_context():
        return reader().scalar(select(func.count()).select_from(UpdateCheck)) or 0


@pytest.mark.parametrize(
    ("proxies", "headers", "counted"),
    [
        (0, [{}] * 7, 3),
        (0, [{"X-Forwarded-For": f"10.0.0.{number}"} for number in range(7)], 3),
        (1, [{"X-Forwarded-For": f"10.0.0.{number}, 192.0.2.{number % 2}"} for number in range(7)], 6),
        (2, [{"X-Forwarded-For": f"10.0.0.{number}, 192.0.2.{number % 2}"} for number in range(7)], 7),
        (2, [{"X-Forwarded-For": "10.0.0.1"}] * 7, 3),
    ],
)
def test_checks_beyond_the_limit_of_an_address_are_answered_and_not_counted(
    settings: Settings,
    api: Api,
    caplog: pytest.LogCaptureFixture,
    proxies: int,
    headers: list[dict[str, str]],
    counted: int,
) -> None:
    api.published(2, "1.1.0")
    body = {"platform": "android", "current_version": "1.0.0+1"}
    with server(settings, check_limit="3 per minute", trusted_proxies=proxies) as (app, client):
        for number, more in enumerate(headers):
            answer = client.post("/api/updates/check", json={**body, "device_id": f"d{number}"}, headers=more)
            assert answer.json["version_code"] == 2
        assert checks_of(app) == counted
    logged = [
        record.message for record in caplog.records if "OTA_CHECK_LIMIT (3 per minute)" in record.message
    ]
    assert len(logged) == {3: 1, 6: 1, 7: 0}[counted]


def test_a_device_is_asked_to_try_again_while_the_journal_is_full(
    api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.published(2, "1.1.0")
    monkeypatch.setattr(part(Reports, app), "keep", lambda record: False)
    body = {**DEVICE, "from_version": "1.0.0+1", "to_version": "1.1.0+2"}
    answer = api.client.post("/api/updates/complete", json=body)
    assert (answer.status_code, answer.json["code"]) == (507, "journal_full")
    assert codes(send(api, event())) == [(0, "journal_full")]
    assert api.check()["update_available"] is True


def test_one_event_needs_no_list(api: Api, app: Flask) -> None:
    api.published(2, "1.1.0")
    one = api.client.post("/api/updates/events", json={**DEVICE, **event(7)})
    assert (one.status_code, one.json["taken"], one.json["refused"]) == (202, 1, [])
    wrong = api.client.post("/api/updates/events", json={**DEVICE, **event(8, version="9.9.9+9")}).json
    assert (wrong["taken"], codes(wrong)) == (0, [(0, "unknown_version")])
    both = api.client.post("/api/updates/events", json={**DEVICE, **event(9), "events": [event(10)]})
    assert (both.status_code, both.json["code"], both.json["details"]["field"]) == (
        400,
        "invalid_field",
        "event",
    )
    neither = api.client.post("/api/updates/events", json=DEVICE)
    assert (neither.status_code, neither.json["code"]) == (400, "missing_field")
    assert [each.event_id for each in kept(app)] == ["e-7"]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown:1", "unknown:1"),
        ("", ""),
    ],
)
def test_a_network_of_ipv6_is_one_address(address: str, place: str) -> None:
    assert place_of(address) == place


def test_addresses_of_one_network_share_a_limit(settings: Settings, api: Api) -> None:
    api.published(2, "1.1.0")
    body = {"platform": "android", "current_version": "1.0.0+1"}
    with server(settings, check_limit="3 per minute", trusted_proxies=1) as (app, client):
        for number in range(7):
            more = {"X-Forwarded-For": f"2001:db8::{number + 1}"}
            assert (
                client.post(
                    "/api/updates/check", json={**body, "device_id": f"d{number}"}, headers=more
                ).status_code
                == 200
            )
        assert checks_of(app) == 3
