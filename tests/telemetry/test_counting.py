"""Checks and reports become rows, once each, whatever is killed in between."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from ota.clock import utcnow
from ota.config import Settings
from ota.core.rollout import bucket
from ota.db import reader, transaction
from ota.journal import segments
from ota.models import (
    App,
    CheckCount,
    Device,
    Event,
    FailureSignature,
    Release,
    ReleaseDevice,
    UpdateCheck,
    UpdateCompletion,
    Version,
)
from ota.parts import part
from ota.telemetry import counting
from ota.telemetry.records import CompletionReport
from ota.web.journal import Reports
from tests.conftest import Api, drain
from tests.telemetry.given import happened, release_of, report, rows, stages


def test_a_check_is_kept_with_what_was_offered_and_why(in_app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")["version"]
    api.check("1.0.0+1", device_id="phone")
    api.check("1.1.0+2", device_id="phone")
    api.check("1.0.0+1", device_id=None)
    assert drain(in_app) == 3
    found = rows(UpdateCheck)
    assert [(each.current_version, each.offered_version, each.reason) for each in found] == [
        ("1.0.0+1", "1.1.0", "update_available"),
        ("1.1.0+2", None, "up_to_date"),
        ("1.0.0+1", "1.1.0", "update_available"),
    ]
    assert {each.device_id for each in found} == {None, rows(Device)[0].device_hash}
    assert "phone" not in str([vars(each) for each in found])
    assert sorted((each.reason, each.checks) for each in rows(CheckCount)) == [
        ("up_to_date", 1),
        ("update_available", 2),
    ]
    assert stages(release_of(made).id) == {"offered": (1, 1), "installed": (1, 0)}


def test_a_later_check_shows_that_the_update_was_completed(in_app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")["version"]
    api.check("1.0.0+1", device_id="phone")
    drain(in_app)
    api.check("1.1.0+2", device_id="phone")
    api.check("1.1.0+2", device_id="phone")
    drain(in_app)
    (completion,) = rows(UpdateCompletion)
    assert (completion.from_version, completion.to_version, completion.is_inferred) == (
        "1.0.0+1",
        "1.1.0+2",
        True,
    )
    journey = rows(ReleaseDevice)[0]
    assert journey.offered_at == journey.enrolled_at < journey.installed_at
    report(
        in_app,
        CompletionReport(
            app_id=1,
            platform="android",
            device_id="phone",
            from_version="1.0.0+1",
            to_version="1.1.0+2",
            at=utcnow(),
        ),
    )
    assert len(rows(UpdateCompletion)) == 1
    assert stages(release_of(made).id)["installed"] == (1, 0)


def test_a_device_that_was_never_offered_the_version_has_not_completed_an_update(
    in_app: Flask, api: Api
) -> None:
    made = api.published(2, "1.1.0")["version"]
    api.check("1.1.0+2", device_id="from the store")
    api.check("0.9.0+3", device_id="other")
    api.check("1.1.0+2", device_id="other")
    drain(in_app)
    assert rows(UpdateCompletion) == []
    assert stages(release_of(made).id) == {}


def test_a_record_that_is_drained_twice_counts_once(in_app: Flask, api: Api) -> None:
    api.published(2, "1.1.0")
    for number in range(5):
        api.check("1.0.0+1", device_id=f"phone {number}")
    (segment,) = segments(part(Settings, in_app).journal_path)
    found = list(segment.records(0))
    drain(in_app)
    with transaction() as session:
        assert not counting.move(session, segment.name, since=0, to=found[-1][1], now=utcnow())
    assert drain(in_app) == 0
    assert len(rows(UpdateCheck)) == len(found) == 5


def test_a_drain_that_dies_before_its_commit_is_done_again(
    in_app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.published(2, "1.1.0")
    api.check("1.0.0+1", device_id="phone")
    real = counting.count

    def dies(session: Session, *args: Any, **more: Any) -> int:
        real(session, *args, **more)
        raise OperationalError("COMMIT", {}, Exception("server closed the connection"))

    monkeypatch.setattr(counting, "count", dies)
    with pytest.raises(OperationalError):
        drain(in_app)
    assert rows(UpdateCheck) == []
    monkeypatch.setattr(counting, "count", real)
    assert drain(in_app) == 1
    assert [each.checks for each in rows(CheckCount)] == [1]


def test_a_finished_segment_is_deleted_and_its_position_later(in_app: Flask, api: Api) -> None:
    api.published()
    api.check(device_id="phone")
    folder = part(Settings, in_app).journal_path
    drain(in_app)
    (name,) = (each.name for each in segments(folder))
    part(Reports, in_app).close()
    drain(in_app)
    assert segments(folder) == []
    with transaction() as session:
        assert not counting.move(session, name, since=0, to=9, now=utcnow())
        counting.forget_positions(session, now=utcnow() + timedelta(days=29))
        assert session.scalar(select(func.count()).select_from(counting.JournalPosition)) == 1
        counting.forget_positions(session, now=utcnow() + timedelta(days=31))
        assert session.scalar(select(func.count()).select_from(counting.JournalPosition)) == 0


def test_unreadable_records_do_not_stop_the_counting(
    in_app: Flask, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.published()
    for garbage in (b"?", b"C", b"E{}", b"C" + bytes(30), b"D[]"):
        part(Reports, in_app).keep(garbage)
    api.check(device_id="phone")
    assert drain(in_app) == 6
    assert len(rows(UpdateCheck)) == 1
    assert [record.args for record in caplog.records if record.levelname == "ERROR"] == [(5,)]


def test_an_app_that_keeps_no_devices_keeps_counts_only(in_app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")["version"]
    with transaction() as session:
        session.scalars(select(App)).one().keeps_devices = False
    api.check("1.0.0+1", device_id="phone")
    drain(in_app)
    report(in_app, happened(made, "crash"))
    assert [each.device_id for each in rows(UpdateCheck)] == [None]
    assert [each.checks for each in rows(CheckCount)] == [1]
    assert rows(Device) + rows(ReleaseDevice) + rows(Event) == []


def test_the_journey_of_a_device_is_counted_stage_by_stage(in_app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")["version"]
    for device in ("good", "bad"):
        api.check("1.0.0+1", device_id=device)
    drain(in_app)
    for kind in ("download_started", "download_completed", "install_started", "installed"):
        report(in_app, happened(made, kind, "good"), happened(made, kind, "bad"))
    report(
        in_app,
        happened(made, "launch_ok", "good"),
        happened(made, "crash", "bad", signature="NullPointerException at Main", text="a stack"),
    )
    assert stages(release_of(made).id) == {
        "offered": (2, 2),
        "downloaded": (2, 2),
        "installed": (2, 2),
        "healthy": (1, 1),
        "failed": (1, 1),
    }
    (signature,) = rows(FailureSignature)
    assert (signature.kind, signature.signature, signature.sample, signature.events, signature.devices) == (
        "crash",
        "NullPointerException at Main",
        "a stack",
        1,
        1,
    )


def test_a_device_that_crashes_again_and_again_counts_as_one(in_app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")["version"]
    api.check("1.0.0+1", device_id="phone")
    drain(in_app)
    report(in_app, *(happened(made, "crash", number=number, signature="loop") for number in range(300)))
    report(in_app, *(happened(made, "crash", number=number, signature="loop") for number in range(300)))
    assert stages(release_of(made).id)["failed"] == (1, 300)
    assert stages(release_of(made).id)["installed"] == (1, 0)
    assert [(each.events, each.devices) for each in rows(FailureSignature)] == [(300, 1)]


def test_events_of_devices_that_were_never_offered_the_version_count_for_no_release(
    in_app: Flask, api: Api
) -> None:
    made = api.published(2, "1.1.0")["version"]
    report(in_app, *(happened(made, "crash", f"forged {number}") for number in range(20)))
    assert stages(release_of(made).id) == {}
    assert {each.release_id for each in rows(Event)} == {None}


def test_a_deferral_is_no_failure(in_app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")["version"]
    api.check("1.0.0+1", device_id="phone")
    drain(in_app)
    for kind in ("user_deferred", "insufficient_space", "download_failed", "checksum_failed", "anr"):
        report(in_app, happened(made, kind))
    assert "failed" not in stages(release_of(made).id)
    assert [each.failed_at for each in rows(ReleaseDevice)] == [None]


def drawn(release: Release, *, inside: bool) -> list[str]:
    """Devices that the draw of the release includes, or does not."""
    return [
        f"phone {n}" for n in range(200) if (bucket(release.salt, f"phone {n}") < release.rollout) is inside
    ]


def known_before(app: Flask, api: Api, release: Release, *ids: str) -> None:
    """Devices that checked a day before the release started."""
    for each in ids:
        api.check("1.2.0+3", device_id=each)
    drain(app)
    with transaction() as session:
        session.query(Device).update({"first_seen_at": release.starts_at - timedelta(days=1)})


def test_devices_outside_the_rollout_become_the_control_group(in_app: Flask, api: Api) -> None:
    api.published(1, "1.0.0")
    made = api.version(code=2, version="1.1.0")
    api.post(f"/api/versions/{made['id']}/releases", {"rollout": 1000})
    release = release_of(made)
    inside, outside = drawn(release, inside=True), drawn(release, inside=False)
    known_before(in_app, api, release, inside[0], *outside[:3])
    api.check("1.0.0+1", device_id=inside[0])
    api.check("1.0.0+1", device_id=outside[0])
    api.check("1.0.0+1", device_id=outside[3])  # Unknown before the release started.
    api.check("0.9.0+0", device_id=outside[1])  # Offered 1.0.0: it is about to update.
    api.check("1.2.0+3", device_id=outside[2])  # Newer than the release.
    drain(in_app)
    of_release = [each for each in rows(ReleaseDevice) if each.release_id == release.id]
    found = {each.is_control: each for each in of_release}
    assert len(found) == len(of_release) == 2
    assert (found[True].version_code, found[True].enrolled_at is not None, found[True].left_at) == (
        1,
        True,
        None,
    )
    assert (found[False].version_code, found[False].enrolled_at) == (2, found[False].offered_at)
    old = reader().scalars(select(Version).where(Version.version_code == 1)).one()
    report(in_app, happened({"id": old.id}, "crash", outside[0]))
    assert [each.failed_at is not None for each in rows(ReleaseDevice) if each.is_control] == [True]
    assert "failed" not in stages(release.id)
    api.post(f"/api/releases/{release.id}/rollout", {"rollout": 10_000})
    api.check("1.0.0+1", device_id=outside[0])
    drain(in_app)
    of_device = [each for each in rows(ReleaseDevice) if each.device_id == found[True].device_id]
    assert sorted((each.is_control, each.left_at is not None) for each in of_device) == [
        (False, False),
        (True, True),
    ]


def test_a_device_that_installs_the_next_version_has_left_the_release(in_app: Flask, api: Api) -> None:
    first = api.published(2, "1.1.0")["version"]
    api.check("1.0.0+1", device_id="phone")
    api.check("1.1.0+2", device_id="phone")
    api.published(3, "1.2.0")
    api.check("1.1.0+2", device_id="phone")
    api.check("1.2.0+3", device_id="phone")
    drain(in_app)
    left = {each.release_id: each.left_at is not None for each in rows(ReleaseDevice)}
    assert left == {release_of(first).id: True, release_of(first).id + 1: False}
    report(in_app, happened(first, "crash"))
    assert "failed" not in stages(release_of(first).id)
