"""What fails is counted for those who have it, bounded, and forgotten when it is old."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from ota.clock import utcnow
from ota.db import transaction
from ota.models import Event, FailureSignature
from ota.parts import part
from ota.telemetry import failures, prune, records
from ota.web.journal import Reports
from tests.conftest import Api, drain
from tests.telemetry.test_counting import happened, in_app, report, rows

__all__ = ["in_app"]


def counted() -> list[tuple[str, int, int]]:
    return sorted((each.signature, each.devices, each.events) for each in rows(FailureSignature))


def test_devices_that_nobody_has_ever_seen_with_a_version_make_no_signatures(in_app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")["version"]
    api.check("1.0.0+1", device_id="offered")
    api.check("1.1.0+2", device_id="runs it")
    api.check("1.1.0", device_id="runs it and says no build")
    api.check("0.9.0+9", device_id="runs another")
    drain(in_app)
    devices = "offered", "runs it", "runs it and says no build", "runs another", "stranger"
    report(
        in_app,
        *(happened(made, "crash", each, number, signature="boom") for each in devices for number in range(2)),
    )
    assert counted() == [("boom", 3, 6)]
    assert sum(each.signature_id is None for each in rows(Event)) == 4
    report(in_app, *(happened(made, "crash", each, 7, signature="boom") for each in devices))
    assert counted() == [("boom", 3, 9)]


def test_a_version_has_so_many_signatures_and_then_others(
    in_app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "MOST", 3)
    made = api.published(2, "1.1.0")["version"]
    for device in ("one", "two"):
        api.check("1.0.0+1", device_id=device)
    drain(in_app)
    report(
        in_app, *(happened(made, "crash", "one", number, signature=f"boom {number}") for number in range(5))
    )
    report(
        in_app,
        *(happened(made, "crash", "two", number, signature=f"boom {number}") for number in range(2, 8)),
    )
    assert counted() == [("boom 0", 1, 1), ("boom 1", 1, 1), ("boom 2", 2, 2), ("other", 2, 7)]
    report(in_app, happened(made, "crash", "one", 9, signature="boom 9"))
    assert counted()[-1] == ("other", 2, 8)


def test_what_has_not_failed_for_long_is_forgotten(in_app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")["version"]
    api.check("1.0.0+1", device_id="phone")
    drain(in_app)
    report(in_app, happened(made, "crash", signature="boom"))
    for days, left in ((89, 1), (91, 0)):
        with transaction() as session:
            prune.prune(session, now=utcnow() + timedelta(days=days))
        assert len(rows(FailureSignature)) == left


def test_a_version_that_was_never_published_is_unknown_to_devices_and_can_be_deleted(
    in_app: Flask, api: Api
) -> None:
    api.published(1, "1.0.0")
    draft = api.version(3, "1.2.0")
    event = {"event_id": "1", "event": "crash", "version": "1.2.0+3", "signature": "boom"}
    answer = api.client.post(
        "/api/updates/events", json={"device_id": "phone", "platform": "android", "events": [event]}
    ).json
    assert [each["code"] for each in answer["refused"]] == ["unknown_version"]
    api.check("1.2.0+3", device_id="phone")
    part(Reports, in_app).keep(
        records.event(happened(draft, "crash", signature="boom"))
    )  # As they were taken before.
    drain(in_app)
    assert len(rows(FailureSignature)) == 1
    assert api.delete(f"/api/versions/{draft['id']}").status_code == 200
    assert rows(FailureSignature) == []
    assert [(each.version_id, each.signature_id) for each in rows(Event)] == [(None, None)]
