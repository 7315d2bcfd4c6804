"""Failures are counted for devices that have the version, within a limit, and deleted when they are old."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from ota.clock import utcnow
from ota.db import transaction
from ota.models import Event, FailureSignature
from ota.telemetry import failures, prune
from tests.conftest import Api, drain
from tests.telemetry.given import happened, report, rows


def counted() -> list[tuple[str, int, int]]:
    return sorted((each.signature, each.devices, each.events) for each in rows(FailureSignature))


def test_devices_that_were_never_seen_with_a_version_make_no_failure_groups(in_app: Flask, api: Api) -> None:
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


def test_failures_beyond_the_largest_number_of_groups_are_others(
    in_app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "MAX_GROUPS", 3)
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


def test_failures_that_have_not_happened_for_long_are_deleted(in_app: Flask, api: Api) -> None:
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
    report(
        in_app, happened(draft, "crash", signature="boom")
    )  # Accepted by an earlier version of the server.
    assert len(rows(FailureSignature)) == 1
    assert api.delete(f"/api/versions/{draft['id']}").status_code == 200
    assert rows(FailureSignature) == []
    assert [(each.version_id, each.signature_id) for each in rows(Event)] == [(None, None)]
