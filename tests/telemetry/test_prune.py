"""Data about single devices is deleted when it is old, and at once for apps that keep none."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from ota.apps import trust
from ota.clock import utcnow
from ota.db import reader, transaction
from ota.devices import devices
from ota.history.audit import SYSTEM
from ota.models import (
    App,
    Device,
    Event,
    FailureSignature,
    Release,
    ReleaseCount,
    ReleaseDevice,
    UpdateCheck,
    UpdateCompletion,
)
from ota.tasks import prune_telemetry
from ota.telemetry import prune
from tests.conftest import Api, drain
from tests.telemetry.given import happened, release_of, report, rows


def journeys_after(days: int) -> set[str]:
    """The names of the devices whose journeys are left this number of days later."""
    with transaction() as session:
        prune.prune(session, now=utcnow() + timedelta(days=days))
    names = {devices.hashed("k" * 64, name): name for name in ("installed", "waits", "gone")}
    return {names[each.device_id] for each in rows(ReleaseDevice)}


def test_old_journeys_are_deleted_and_counts_stay(in_app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")["version"]
    for name in ("installed", "waits", "gone"):
        api.check("1.0.0+1", device_id=name)
    api.check("1.1.0+2", device_id="installed")
    drain(in_app)
    with transaction() as session:
        session.delete(
            session.scalars(
                select(Device).where(Device.device_hash == devices.hashed("k" * 64, "gone"))
            ).one()
        )
    assert journeys_after(89) == {"installed", "waits", "gone"}
    assert journeys_after(91) == {"waits"}
    with transaction() as session:
        session.get_one(Release, release_of(made).id).ended_at = utcnow() + timedelta(days=100)
    assert journeys_after(189) == {"waits"}
    assert journeys_after(191) == set()
    assert sorted((each.stage, each.devices) for each in rows(ReleaseCount)) == [
        ("installed", 1),
        ("offered", 3),
    ]


def test_everything_about_devices_of_an_app_that_keeps_none_is_deleted(
    in_app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH", 2)
    made = api.published(2, "1.1.0")["version"]
    for number in range(5):
        api.check("1.0.0+1", device_id=f"phone {number}")
        api.check("1.1.0+2", device_id=f"phone {number}")
    drain(in_app)
    report(in_app, *(happened(made, "crash", f"phone {number}", signature="boom") for number in range(5)))
    with transaction() as session:
        app = session.get_one(App, 1)
        trust.keep_devices(session, SYSTEM, app, keeps=False, revision=app.revision, now=utcnow())
    prune_telemetry()
    assert (
        rows(Device) + rows(ReleaseDevice) + rows(Event) + rows(UpdateCompletion) + rows(FailureSignature)
        == []
    )
    assert [each.device_id for each in rows(UpdateCheck)] == [None] * 10
    assert rows(ReleaseCount) != []


def test_reports_for_such_an_app_are_answered_and_not_kept(in_app: Flask, api: Api) -> None:
    api.published(2, "1.1.0")
    with transaction() as session:
        session.get_one(App, 1).keeps_devices = False
    body = {"device_id": "phone", "platform": "android"}
    events = [
        {"event_id": "1", "event": "installed", "version": "1.1.0+2"},
        {"event_id": "2", "event": "exploded", "version": "1.1.0+2"},
    ]
    answer = api.client.post("/api/updates/events", json={**body, "events": events})
    assert (answer.status_code, answer.json["taken"], len(answer.json["refused"])) == (202, 1, 1)
    assert "keeps nothing" in answer.json["note"]
    done = api.client.post(
        "/api/updates/complete", json={**body, "from_version": "1.0.0+1", "to_version": "1.1.0+2"}
    )
    assert (done.status_code, "keeps nothing" in done.json["message"]) == (202, True)
    assert drain(in_app) == 0
    reader().rollback()
