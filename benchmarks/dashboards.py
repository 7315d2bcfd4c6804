"""Cost of the pages about devices: ``python -m benchmarks.dashboards [CHECKS] [DEVICES]``.

It is compared with the cost at ten thousand checks. Uses SQLite, or PostgreSQL if OTA_DATABASE_URL names an
empty database. The same server is filled twice. Hourly counts are computed from the single checks, so that
both agree. Ten million checks need about 4 GB of disk for some minutes.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, has_app_context
from flask.testing import FlaskClient
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.orm import Session

from benchmarks.fill import fill
from ota.clock import utcnow
from ota.config import Settings
from ota.core.platforms import Platform
from ota.core.telemetry import EventKind, Stage
from ota.db import db, reader, transaction
from ota.devices import timeline
from ota.fleet import adoption, figures
from ota.models import (
    Adoption,
    App,
    CheckCount,
    Device,
    Event,
    FailureCount,
    FailureSignature,
    Release,
    ReleaseCount,
    ReleaseDevice,
    UpdateCheck,
)
from ota.models.base import Base
from ota.releases import watch
from ota.web.health import views as health_views

CHECKS, DEVICES = 10_000_000, 100_000
FEW = 10_000
DAYS = 30
RUNS = 20
PASSWORD = "correct horse battery"
ADMIN = "admin@localhost"
CHUNK = 10_000
BY_VERSION = """SELECT app_version, COUNT(*) AS device_count,
  COUNT(*) * 100.0 / (SELECT COUNT(*) FROM devices) AS percentage
FROM devices GROUP BY app_version ORDER BY app_version DESC"""

_SQLITE_CHECKS = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :checks)
INSERT INTO update_checks (
  app_id, channel_id, device_id, current_version, offered_version, release_id, reason, platform, created_at
)
SELECT 1, 1, printf('%064d', i % :devices), '1.' || (i % 5) || '.0+' || (i % 5 + 1),
  CASE i % 10 WHEN 0 THEN '1.4.0' END,
  CASE i % 10 WHEN 0 THEN 5 END,
  CASE i % 10 WHEN 0 THEN 'update_available' WHEN 1 THEN 'not_in_rollout' ELSE 'up_to_date' END, 'android',
  strftime('%Y-%m-%d %H:%M:%S.000000', :start, (i * :seconds / :checks) || ' seconds')
FROM n
"""
_POSTGRESQL_CHECKS = """
INSERT INTO update_checks (
  app_id, channel_id, device_id, current_version, offered_version, release_id, reason, platform, created_at
)
SELECT 1, 1, lpad((i % :devices)::text, 64, '0'), '1.' || (i % 5) || '.0+' || (i % 5 + 1),
  CASE i % 10 WHEN 0 THEN '1.4.0' END,
  CASE i % 10 WHEN 0 THEN 5 END,
  CASE i % 10 WHEN 0 THEN 'update_available' WHEN 1 THEN 'not_in_rollout' ELSE 'up_to_date' END, 'android',
  CAST(:start AS timestamp) + (i * CAST(:seconds AS bigint) / :checks) * interval '1 second'
FROM generate_series(0, CAST(:checks AS bigint) - 1) AS i
"""
_COUNTS = """
INSERT INTO check_counts (channel_id, platform, hour, release_id, reason, app_id, checks)
SELECT channel_id, platform, {hour}, coalesce(release_id, 0), reason, app_id, count(*) FROM update_checks
GROUP BY 1, 2, 3, 4, 5, 6
"""
_HOUR = {
    "sqlite": "strftime('%Y-%m-%d %H:00:00.000000', created_at)",
    "postgresql": "date_trunc('hour', created_at)",
}


def main() -> None:
    checks, devices = (int(given) for given in (*sys.argv[1:], *(CHECKS, DEVICES)[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("OTA_DATABASE_URL", "")
        settings = Settings(
            data_dir=folder, secret_key="k" * 64, database_url=url, admin_email=ADMIN, admin_password=PASSWORD
        )
        app = fill(settings)
        now = utcnow().replace(microsecond=0)
        with app.app_context():
            make_fleet(devices, now)
        found = []
        for number in (FEW, checks):
            with app.app_context():
                make_checks(number, devices, now)
            found.append(measure(app, now))
        show(found, (FEW, checks), devices, settings.sqlalchemy_url.partition(":")[0])


def make_fleet(devices: int, now: datetime) -> None:
    """Add all but the checks: devices, their journeys in the newest release, failures, and their counts."""
    with transaction() as session:
        release_id = session.scalars(select(Release.id).order_by(Release.id.desc())).first() or 0
        session.get_one(Release, release_id).starts_at = now - timedelta(days=DAYS)
        connection = session.connection()
        for version in range(200):
            session.add(
                FailureSignature(
                    version_id=version % 5 + 1,
                    kind=EventKind.CRASH,
                    signature=f"signature {version}",
                    sample="at Main.start",
                    events=500,
                    devices=500,
                    first_at=now - timedelta(days=DAYS),
                    last_at=now - timedelta(hours=version),
                )
            )
        session.flush()
        _insert(connection, Device, [_device(number, now) for number in range(devices)])
        _insert(connection, ReleaseDevice, [_journey(number, release_id, now) for number in range(devices)])
        _insert(connection, Event, [_event(number, release_id, now) for number in range(devices)])
        _insert(
            connection,
            FailureCount,
            [
                {
                    "signature_id": signature + 1,
                    "day": (now - timedelta(days=ago)).date(),
                    "devices": 3,
                    "events": 17,
                }
                for signature in range(200)
                for ago in range(90)
            ],
        )
        hours = [now.replace(minute=0, second=0) - timedelta(hours=ago) for ago in range(24 * DAYS)]
        _insert(
            connection,
            ReleaseCount,
            [
                {"release_id": release, "hour": hour, "stage": stage, "devices": 14, "events": 20}
                for release in range(1, release_id + 1)
                for hour in hours
                for stage in Stage
            ],
        )
        _insert(
            connection,
            Adoption,
            [
                {
                    "app_id": 1,
                    "platform": platform,
                    "day": (now - timedelta(days=ago)).date(),
                    "app_version": f"1.{version}.0+{version + 1}",
                    "devices": devices // 20,
                }
                for platform in Platform
                for ago in range(1, 365)
                for version in range(20)
            ],
        )
    _analyze()


def make_checks(checks: int, devices: int, now: datetime) -> None:
    """Replace all checks by ``checks`` new ones over the last 30 days, and add their hourly counts."""
    began = time.perf_counter()
    with transaction() as session:
        connection = session.connection()
        kind = connection.dialect.name
        if kind == "postgresql":
            session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(text("DELETE FROM check_counts"))
        session.execute(
            text("TRUNCATE update_checks" if kind == "postgresql" else "DELETE FROM update_checks")
        )
        table: Any = UpdateCheck.__table__
        for index in table.indexes:  # Created again below: sorting is faster than ten million insertions.
            index.drop(connection)
        seconds = DAYS * 86_400 - 1
        start = (now - timedelta(seconds=seconds)).replace(tzinfo=None)
        statement = text(_POSTGRESQL_CHECKS if kind == "postgresql" else _SQLITE_CHECKS)
        session.execute(
            statement,
            {
                "checks": checks,
                "devices": devices,
                "seconds": seconds,
                "start": start if kind == "postgresql" else str(start),
            },
        )
        for index in table.indexes:
            index.create(connection)
        session.execute(text(_COUNTS.format(hour=_HOUR[kind])))
        raw, counted = (
            session.scalar(select(func.count()).select_from(UpdateCheck)),
            session.scalar(select(func.sum(CheckCount.checks))),
        )
    assert raw == counted == checks, (raw, counted)
    _analyze()
    print(f"{checks:,} checks made in {time.perf_counter() - began:.0f} s", flush=True)


def measure(app: Flask, now: datetime) -> dict[str, list[float]]:
    """Return the milliseconds of each query, of each page, and of the tasks that read all devices."""
    with app.app_context():
        release_id = reader().scalars(select(Release.id).order_by(Release.id.desc())).first() or 0
        found = {name: _times(query) for name, query in _queries(release_id, now).items()}
    client = app.test_client()
    _log_in(client)
    for path in (
        "fleet?days=30",
        "fleet?days=90",
        f"releases/{release_id}",
        "releases",
        "versions",
        "devices",
        f"devices/{7:064}",
    ):
        found[f"page /{path[:20]}"] = _times(lambda path=path: _get(client, f"/apps/my-app/{path}"))  # type: ignore[misc]
    with app.app_context():
        found["task: adoption"] = _times(
            lambda: _act(lambda session: adoption.note_adoption(session, now=now)), 3
        )
        found["task: health of one release"] = _times(
            lambda: _act(lambda session: watch.evaluate(session, release_id, now=now)), 3
        )
    return found


def _queries(release_id: int, now: datetime) -> dict[str, Callable[[], Any]]:
    found: dict[str, Callable[[], Any]] = {
        f"fleet, {days} days": lambda days=days: figures.fleet(
            reader(), 1, Platform.ANDROID, days=days, now=now
        )  # type: ignore[misc]
        for days in (1, 7, 30, 90)
    }
    found["release health"] = lambda: health_views.of(reader(), reader().get_one(Release, release_id))
    found["devices, not seen for 7 days"] = lambda: timeline.listed(
        reader(), 1, Platform.ANDROID, now=now, unseen_days=7
    )
    found["one device"] = lambda: timeline.story(reader(), reader().get_one(App, 1), f"{7:064}")
    found["devices by version, in SQL"] = lambda: reader().execute(text(BY_VERSION)).all()
    return found


def show(found: list[dict[str, list[float]]], sizes: tuple[int, int], devices: int, kind: str) -> None:
    print(f"{devices:,} devices, {kind}: median and slowest of {RUNS}, in ms")
    print(f"{'':<32}" + "".join(f"{size:>14,} checks" for size in sizes) + "   ratio")
    for name in found[0]:
        each = [(statistics.median(times[name]), max(times[name])) for times in found]
        print(
            f"{name:<32}"
            + "".join(f"{middle:>12.1f} {most:>8.1f}" for middle, most in each)
            + f"   {each[1][0] / each[0][0]:.2f}"
        )


def _times(query: Callable[[], Any], runs: int = RUNS) -> list[float]:
    query()
    taken = []
    for _ in range(runs):
        if has_app_context():
            reader().rollback()
        began = time.perf_counter()
        query()
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def _act(verb: Callable[[Session], Any]) -> None:
    with transaction() as session:
        verb(session)


def _insert(connection: Connection, model: type[Base], rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), CHUNK):
        connection.execute(insert(model), rows[start : start + CHUNK])


def _analyze() -> None:
    """Update statistics, as PostgreSQL does by itself a minute later."""
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _device(number: int, now: datetime) -> dict[str, Any]:
    seen = now - timedelta(minutes=number % 60_000)
    return {
        "app_id": 1,
        "platform": Platform.ANDROID,
        "device_hash": f"{number:064}",
        "app_version": f"1.{number % 5}.0+{number % 5 + 1}",
        "version_code": number % 5 + 1,
        "sdk": 34,
        "os_version": None,
        "abis": "arm64-v8a",
        "first_seen_at": now - timedelta(days=80),
        "last_seen_at": seen,
    }


def _journey(number: int, release_id: int, now: datetime) -> dict[str, Any]:
    is_control, at = number % 10 > 0, now - timedelta(minutes=number % 40_000)
    return {
        "release_id": release_id,
        "device_id": f"{number:064}",
        "is_control": is_control,
        "version_code": 4 if is_control else 5,
        "offered_at": None if is_control else at,
        "downloaded_at": None,
        "installed_at": None if is_control else at,
        "healthy_at": None,
        "enrolled_at": at,
        "failed_at": at if number % 97 == 0 else None,
        "crashed_at": at if number % 97 == 0 else None,
        "failure": EventKind.CRASH if number % 97 == 0 else None,
        "left_at": None,
    }


def _event(number: int, release_id: int, now: datetime) -> dict[str, Any]:
    at = now - timedelta(minutes=number % 40_000)
    return {
        "app_id": 1,
        "device_id": f"{number:064}",
        "event_id": f"e{number}",
        "kind": EventKind.CRASH,
        "version_id": number % 5 + 1,
        "release_id": release_id,
        "signature_id": number % 200 + 1,
        "duration_ms": None,
        "at": at,
        "received_at": at,
    }


def _log_in(client: FlaskClient) -> None:
    found = re.search(r'name="csrf_token" (?:type="hidden" )?value="([^"]+)"', client.get("/login").text)
    assert found is not None
    answer = client.post("/login", data={"email": ADMIN, "password": PASSWORD, "csrf_token": found[1]})
    assert answer.status_code == 303, answer.status


def _get(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status)


if __name__ == "__main__":
    main()
