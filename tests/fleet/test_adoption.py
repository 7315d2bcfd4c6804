"""Adoption, pruning, and the figures that are read from both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from ota.core.platforms import Platform
from ota.db import reader, transaction
from ota.fleet import adoption, figures
from ota.fleet.series import OTHER
from ota.models import Adoption, CheckCount, Device, Event, JournalPosition, UpdateCheck, UpdateCompletion
from ota.tasks import prune_telemetry, roll_up
from ota.telemetry import counting, prune
from tests.conftest import Api, drain

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def in_app(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


def device(number: int, version: str, *, days_ago: float = 0, platform: str = "android") -> Device:
    at = NOW - timedelta(days=days_ago)
    return Device(
        app_id=1,
        platform=platform,
        device_hash=f"{number:064}",
        app_version=version,
        first_seen_at=at,
        last_seen_at=at,
    )


def note(*devices: Device, at: datetime = NOW) -> None:
    with transaction() as session:
        session.add_all(devices)
        session.flush()
        adoption.note_adoption(session, now=at)


def adopted() -> dict[tuple[date, str, str], int]:
    reader().rollback()
    return {
        (row.day, row.platform, row.app_version): row.devices for row in reader().scalars(select(Adoption))
    }


def test_adoption_counts_active_devices_per_platform_and_again_the_same_day(in_app: Flask) -> None:
    note(
        device(1, "1.0.0"),
        device(2, "1.0.0"),
        device(3, "1.0.0", days_ago=31),
        device(4, "1.0.0", platform="ios"),
    )
    today = NOW.date()
    assert adopted() == {(today, "android", "1.0.0"): 2, (today, "ios", "1.0.0"): 1}
    with transaction() as session:
        session.query(Device).filter(Device.platform == "android").update({"app_version": "1.1.0"})
        adoption.note_adoption(session, now=NOW + timedelta(hours=1))
    assert adopted() == {(today, "android", "1.1.0"): 2, (today, "ios", "1.0.0"): 1}
    note(at=NOW + timedelta(days=1))
    assert len(adopted()) == 4


def test_old_reports_are_deleted_in_batches_and_young_ones_stay(
    in_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH", 3)
    monkeypatch.setattr("ota.tasks.utcnow", lambda: NOW)
    with transaction() as session:
        for number, days in enumerate([31] * 7 + [29] * 2):
            session.add(
                UpdateCheck(
                    app_id=1,
                    channel_id=1,
                    current_version=str(number),
                    reason="up_to_date",
                    platform="android",
                    created_at=NOW - timedelta(days=days),
                )
            )
        for number, days in enumerate([91, 91, 89]):
            at, who = NOW - timedelta(days=days), f"{number:064}"
            session.add(Event(app_id=1, device_id=who, event_id="e", kind="crash", at=at, received_at=at))
            session.add(
                UpdateCompletion(
                    app_id=1,
                    device_id=who,
                    from_version="1",
                    to_version="2",
                    platform="android",
                    completed_at=at,
                )
            )
        session.add(JournalPosition(name="old", position=counting.DONE, updated_at=NOW - timedelta(days=31)))
    with transaction() as session:
        assert prune.prune(session, now=NOW)
    assert reader().scalar(select(func.count()).select_from(UpdateCheck)) == 6
    reader().rollback()
    prune_telemetry()
    left = {
        model.__tablename__: reader().scalar(select(func.count()).select_from(model))
        for model in (UpdateCheck, Event, UpdateCompletion, JournalPosition)
    }
    assert left == {"update_checks": 2, "events": 1, "update_completions": 1, "journal_positions": 0}


def test_the_smallest_versions_are_put_together(in_app: Flask) -> None:
    note(*(device(100 * code + number, f"1.{code}.0") for code in range(12) for number in range(code + 1)))
    found = figures.adoption(reader(), 1, Platform.ANDROID, days=7, now=NOW)
    assert found.names == ["1.11.0", "1.10.0", "1.9.0", "1.8.0", "1.7.0", "1.6.0", "1.5.0", "1.4.0", OTHER]
    today = found.moments[-1]
    assert (
        found.at(today, "1.11.0"),
        found.at(today, OTHER),
        found.total(today),
        found.total(found.moments[0]),
    ) == (12, 10, 78, 0)


def test_versions_that_somebody_makes_up_do_not_fill_the_table(
    in_app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "MAX_UNKNOWN", 2)
    api.version(2, "1.1.0")
    made_up = [device(number, f"9.9.{number}+{number}") for number in range(10, 20)]
    note(
        device(1, "1.1.0+2"),
        device(2, "1.1.0"),
        *(device(number, "0.9.0+9") for number in range(3, 6)),
        *made_up,
    )
    found = {version: number for (_, _, version), number in adopted().items()}
    assert found == {"1.1.0+2": 1, "1.1.0": 1, "0.9.0+9": 3, "9.9.10+10": 1, "other": 9}


def test_checks_are_told_by_reason_and_platform_and_none_is_lost(in_app: Flask) -> None:
    with transaction() as session:
        for hours, platform, checks in (
            (0, "android", 5),
            (1, "android", 7),
            (30, "android", 11),
            (0, "ios", 13),
        ):
            session.add(
                CheckCount(
                    channel_id=1,
                    platform=platform,
                    hour=NOW.replace(minute=0) - timedelta(hours=hours),
                    release_id=0,
                    reason="up_to_date",
                    app_id=1,
                    checks=checks,
                )
            )
    sums = {
        days: sum(figures.checks(reader(), 1, Platform.ANDROID, days=days, now=NOW).values.values())
        for days in (1, 7, 30, 90)
    }
    assert sums == {1: 12, 7: 23, 30: 23, 90: 23}


def test_what_devices_did_becomes_figures_of_the_page(in_app: Flask, api: Api) -> None:
    release = api.published(2, "1.1.0")["release"]
    api.check("1.0.0+1", device_id="phone")
    api.check("1.1.0+2", device_id="phone")
    api.check("1.0.0+1", device_id="other")
    drain(in_app)
    roll_up()
    reader().rollback()
    counted = figures.funnel(reader(), release["id"])
    assert {stage.value: number for stage, number in counted.items() if number} == {
        "offered": 2,
        "installed": 1,
    }
    now = datetime.now(UTC)
    found = figures.fleet(reader(), 1, Platform.ANDROID, days=7, now=now)
    assert sorted(found.running) == [("1.0.0+1", 1), ("1.1.0+2", 1)]
    assert (found.known, found.unseen) == (2, {7: 0, 30: 0})
    assert figures.fleet(reader(), 1, Platform.ANDROID, days=7, now=now + timedelta(days=8)).unseen == {
        7: 2,
        30: 0,
    }
    assert figures.fleet(reader(), 1, Platform.IOS, days=7, now=now).running == []
