"""The drain goes on whatever is in the journal, counts each record once, and leaves nothing of it on disk."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from ota.clock import utcnow
from ota.config import Settings
from ota.db import reader, transaction
from ota.journal import Journal, Segment, segments
from ota.models import Event, JournalPosition, Release, ReleaseDevice, UpdateCheck
from ota.parts import part
from ota.telemetry import counting, prune, records
from ota.telemetry import drain as telemetry_drain
from ota.telemetry.drain import Drainer
from ota.web.journal import Reports
from tests.conftest import Api, drain
from tests.telemetry.given import happened, release_of, rows


def check(device: str, current: str, at: datetime, release: Release | None = None) -> bytes:
    raw = json.dumps({"platform": "android", "current_version": current, "device_id": device}).encode()
    channel, found = (1, None) if release is None else (release.channel_id, release.id)
    return records.check(
        raw, records.answer_mark(channel, found, "update_available" if release else "up_to_date"), at
    )


def on_disk(app: Flask) -> bytes:
    return b"".join(path.read_bytes() for path in part(Settings, app).journal_path.glob("*.journal"))


@pytest.fixture
def poisonous(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Checks of these devices can't be counted, for an unforeseen reason."""
    real, poison = counting.count, ["poison"]

    def count(session: Session, batch: list[bytes], **more: Any) -> int:
        found = real(session, batch, **more)
        if any(f'"{name}"'.encode() in each for each in batch for name in poison):
            raise OverflowError("date value out of range")
        return found

    monkeypatch.setattr(counting, "count", count)
    return poison


def test_a_record_that_can_not_be_counted_is_set_aside_and_the_others_count_once(
    in_app: Flask, api: Api, poisonous: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    api.published(2, "1.1.0")
    for number in range(30):
        api.check("1.0.0+1", device_id="poison" if number in (7, 8, 29) else f"phone {number}")
    assert drain(in_app) == 30
    assert drain(in_app) == 0
    assert len(rows(UpdateCheck)) == len({each.device_id for each in rows(UpdateCheck)}) == 27
    assert sum("poison-" in record.message for record in caplog.records) == 3
    folder = part(Settings, in_app).journal_path
    aside = list(folder.glob("poison-*.record"))
    assert len(aside) == 3
    poisonous.clear()  # The program was fixed.
    for path in aside:
        path.rename(path.with_suffix(".journal"))
    assert drain(in_app) == 3
    assert len(rows(UpdateCheck)) == 30
    assert drain(in_app) == 0


@pytest.mark.parametrize("error", [OperationalError, ProgrammingError])
def test_while_the_database_fails_no_record_is_set_aside(
    in_app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch, error: type[OperationalError]
) -> None:
    api.published()
    api.check(device_id="phone")

    def fails(*_: Any, **__: Any) -> int:
        raise error("SELECT", {}, Exception("no such column"))

    with monkeypatch.context() as patched:
        patched.setattr(counting, "count", fails)
        with pytest.raises(error):
            drain(in_app)
    assert list(part(Settings, in_app).journal_path.glob("poison*")) == []
    assert drain(in_app) == 1


def test_events_of_a_version_that_is_gone_are_dropped(in_app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")["version"]
    draft = api.version(3, "1.2.0")
    api.check("1.0.0+1", device_id="phone")
    drain(in_app)
    for version in (draft, made):
        part(Reports, in_app).keep(
            records.event(happened(version, "crash", signature="boom", number=version["id"]))
        )
    assert api.delete(f"/api/versions/{draft['id']}").status_code == 200
    assert drain(in_app) == 2
    assert [each.version_id for each in rows(Event)] == [made["id"]]
    assert list(part(Settings, in_app).journal_path.glob("poison*")) == []


def test_a_segment_that_is_quiet_for_a_year_counts_once(in_app: Flask, api: Api) -> None:
    api.published(2, "1.1.0")
    for number in range(5):
        api.check("1.0.0+1", device_id=f"phone {number}")
    drain(in_app)
    with transaction() as session:
        prune.prune(session, now=utcnow() + timedelta(days=365))
    assert drain(in_app) == 0
    api.check("1.0.0+1", device_id="phone 5")
    assert drain(in_app) == 1  # A new drainer, which knows only what the database knows.


def test_counted_records_leave_the_disk(in_app: Flask, api: Api) -> None:
    api.published(2, "1.1.0")
    drainer = Drainer(in_app)
    for number in range(3):
        api.check("1.0.0+1", device_id=f"somebody's phone {number}")
        assert b"somebody's" in on_disk(in_app)
        assert drainer.drain() == 1
        assert b"somebody's" not in on_disk(in_app)
    part(Reports, in_app).close()
    drainer.drain()
    assert segments(part(Settings, in_app).journal_path) == []


def test_a_drain_that_dies_between_counting_and_wiping_wipes_later(
    in_app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.published(2, "1.1.0")
    api.check("1.0.0+1", device_id="somebody")
    with monkeypatch.context() as patched:
        patched.setattr(Segment, "wipe", lambda *_: None)
        drain(in_app)
    assert b"somebody" in on_disk(in_app)
    assert drain(in_app) == 0
    assert b"somebody" not in on_disk(in_app)
    api.check("1.0.0+1", device_id="somebody")
    assert drain(in_app) == 1


def test_a_drain_that_dies_before_deleting_a_segment_deletes_it_later(
    in_app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.published(2, "1.1.0")
    api.check("1.0.0+1", device_id="somebody")
    part(Reports, in_app).close()
    with monkeypatch.context() as patched:
        patched.setattr(Segment, "delete", lambda *_: None)
        drain(in_app)
    assert len(segments(part(Settings, in_app).journal_path)) == 1
    assert drain(in_app) == 0
    assert segments(part(Settings, in_app).journal_path) == []
    assert len(rows(UpdateCheck)) == 1


def test_a_database_that_was_restored_from_a_backup_does_not_stop_the_counting(
    in_app: Flask, api: Api
) -> None:
    api.published(2, "1.1.0")
    api.check("1.0.0+1", device_id="before")
    drain(in_app)
    with transaction() as session:
        session.execute(delete(JournalPosition))
    for number in range(3):
        api.check("1.0.0+1", device_id=f"phone {number}")
    assert drain(in_app) == 3
    assert len(rows(UpdateCheck)) == 4


def test_two_drainers_count_once_and_neither_fails(in_app: Flask, api: Api) -> None:
    api.published(2, "1.1.0")
    one, other = Drainer(in_app), Drainer(in_app)
    counted = []
    for number in range(4):
        api.check("1.0.0+1", device_id=f"phone {number}")
        counted.append([each.drain() for each in ((one, other) if number % 2 else (other, one))])
    part(Reports, in_app).close()
    one.drain()
    other.drain()
    assert len(rows(UpdateCheck)) == 4
    assert sum(map(sum, counted)) == 4 or drain(in_app) == 0
    assert [each.position for each in rows(JournalPosition)] == [counting.DONE]


def test_records_of_several_web_processes_are_counted_in_the_order_of_time(in_app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")["version"]
    release, settings = release_of(made), part(Settings, in_app)
    workers = [Journal(settings.journal_path, max_bytes=2**24, segment_bytes=2**20) for _ in range(2)]
    start = utcnow() - timedelta(hours=2)
    for worker in workers:
        worker.append(check("first", "1.0.0+1", start))
    for number in range(40):
        at, device = start + timedelta(minutes=number), f"phone {number}"
        workers[1 - number % 2].append(check(device, "1.0.0+1", at, release))
        for kind in ("installed", "crash"):
            at += timedelta(seconds=10)
            workers[number % 2].append(records.event(happened(made, kind, device, at=at, received_at=at)))
    assert drain(in_app) == 122
    reader().rollback()
    voted = (
        select(func.count())
        .select_from(ReleaseDevice)
        .where(ReleaseDevice.failed_at.is_not(None), ReleaseDevice.installed_at.is_not(None))
    )
    assert reader().scalar(voted) == 40
    assert {each.release_id for each in rows(Event)} == {release.id}
    for worker in workers:
        worker.close()
    drain(in_app)
    assert segments(settings.journal_path) == []


def test_records_that_come_while_segments_are_read_wait_for_the_next_drain(
    in_app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api.published(2, "1.1.0")["version"]
    release, settings = release_of(made), part(Settings, in_app)
    first, second = (Journal(settings.journal_path, max_bytes=2**24, segment_bytes=2**20) for _ in range(2))
    now = utcnow()
    for worker in (first, second):
        worker.append(check("before", "1.0.0+1", now))
    real = Segment.records

    def slow(segment: Segment, position: int) -> Iterator[tuple[bytes, int]]:
        yield from real(segment, position)
        if segment.name == segments(settings.journal_path)[0].name and not reported:
            # The first segment is read to its end: now the device checks there, and reports to the second
            # one.
            reported.append(True)
            first.append(check("phone", "1.0.0+1", utcnow(), release))
            later = utcnow()
            second.append(records.event(happened(made, "crash", at=later, received_at=later)))

    reported: list[bool] = []
    monkeypatch.setattr(Segment, "records", slow)
    drainer = Drainer(in_app)
    assert drainer.drain() == 2
    assert drainer.drain() == 2
    assert [each.release_id for each in rows(Event)] == [release.id]
    first.close()
    second.close()


def test_a_long_count_stops_on_request_and_goes_on_later(
    in_app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.published(2, "1.1.0")
    monkeypatch.setattr(telemetry_drain, "_BATCH", 2)
    for number in range(5):
        api.check("1.0.0+1", device_id=f"phone {number}")
    part(Reports, in_app).close()
    drainer, looks = Drainer(in_app), iter([False, True])
    assert drainer.drain(lambda: next(looks)) == 2
    assert drainer.drain() == 3
    assert len(rows(UpdateCheck)) == 5


def test_the_last_records_of_web_processes_are_counted_before_the_drain_ends(in_app: Flask, api: Api) -> None:
    api.published(2, "1.1.0")
    api.check("1.0.0+1", device_id="phone 1")
    stop = threading.Event()
    thread = threading.Thread(target=Drainer(in_app).run, args=(stop,))
    thread.start()
    stop.set()
    api.check("1.0.0+1", device_id="phone 2")
    part(Reports, in_app).close()
    thread.join(20)
    assert segments(part(Settings, in_app).journal_path) == []
    assert len(rows(UpdateCheck)) == 2


def test_a_drainer_goes_on_when_the_database_is_back(
    in_app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.published()
    api.check(device_id="phone")
    drainer, away = Drainer(in_app), [True]
    real = counting.position

    def position(session: Session, name: str) -> int:
        if away[0]:
            raise OperationalError("SELECT", {}, Exception("the database system is shutting down"))
        return real(session, name)

    monkeypatch.setattr(counting, "position", position)
    with pytest.raises(OperationalError):
        drainer.drain()
    away[0] = False
    assert drainer.drain() == 1
