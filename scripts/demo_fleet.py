"""The demo's devices: they update after a while, check a few times a day, and sometimes fail."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ota.apps import apps
from ota.core.platforms import Platform
from ota.core.telemetry import Stage
from ota.db import transaction
from ota.models import Adoption, CheckCount, Device, ReleaseCount, Version
from ota.telemetry.hourly_counts import hour_of
from scripts import demo_histories, demo_tried
from scripts.demo_rows import Fleet, of, running, store
from scripts.demo_tried import Trial, Tried

ReleasedVersion = tuple[int, int, datetime]
"""Ids of a version and its release, and the release's start."""

DAYS, HOURS = 120, 24 * 14


def grow(fleet: Fleet, made: Sequence[ReleasedVersion], now: datetime, *tried: Tried) -> None:
    """Add the fleet's use of the versions in ``made`` until ``now``, and of the ``tried`` releases."""
    with transaction() as session:
        app = apps.find(session, fleet.app)
        named = [
            (session.get_one(Version, version_id), release_id, at) for version_id, release_id, at in made
        ]
        _adoption(session, app.id, fleet, named, now)
        runs = _drawn(fleet, named, now)
        before, trials = dict(runs), list[Trial]()
        for release in tried:
            trials.append(demo_tried.attempt(session, app.id, fleet, runs, release, trials, now))
        demo_tried.settle(session, fleet, runs, named[-1], now)
        store(session, Device, [_device(app.id, fleet, number, version) for number, version in runs.items()])
        for version, release_id, at in named[-3:-1]:
            _funnel(session, fleet, version, release_id, at, now, share=1.0, failing=0.006)
        _checks(session, app.id, app.channels[0].id, fleet, named[-1], now, is_partial=bool(tried))
        demo_histories.add_checks(session, app, fleet, before, runs, trials)


def _taken(days: float) -> float:
    """Return the share of devices with a version, ``days`` after its release."""
    return 0.0 if days <= 0 else 0.96 * (1 - math.exp(-days / 4.5))


def _adoption(
    session: Session, app_id: int, fleet: Fleet, named: Sequence[tuple[Version, int, datetime]], now: datetime
) -> None:
    rows = []
    for ago in range(DAYS, -1, -1):
        day = now - timedelta(days=ago)
        size = fleet.devices * (0.55 + 0.45 * (1 - ago / DAYS)) * (1 + fleet.dice.uniform(-0.01, 0.01))
        left = 1.0
        for version, _, at in reversed(named):
            share = left * _taken((day - at).total_seconds() / 86_400)
            left -= share
            if int(size * share):
                rows.append(
                    of(app_id, fleet, day=day.date(), app_version=running(version), devices=int(size * share))
                )
    store(session, Adoption, rows)


def _drawn(fleet: Fleet, named: Sequence[tuple[Version, int, datetime]], now: datetime) -> dict[int, Version]:
    """Draw the version of each device, and its last check into ``fleet.seen``."""
    runs = {}
    for number in range(fleet.devices):
        is_lost = fleet.dice.random() < 0.05
        ago = fleet.dice.uniform(7, 60) * 1_440 if is_lost else fleet.dice.expovariate(1 / 700)
        seen = fleet.seen[number] = now - timedelta(minutes=25 if number == fleet.shown else int(ago))
        # As of three days earlier, so that it ran this version in all the checks that are added.
        runs[number] = next(
            (v for v, _, at in reversed(named) if fleet.dice.random() < _taken((seen - at).days - 3)),
            named[0][0],
        )
        if number == fleet.shown:
            runs[number] = named[-1][0]
    return runs


def _device(app_id: int, fleet: Fleet, number: int, version: Version) -> dict[str, Any]:
    seen = fleet.seen[number]
    return of(
        app_id,
        fleet,
        device_hash=fleet.hash_of(number),
        app_version=running(version),
        version_code=version.version_code,
        first_seen_at=seen - timedelta(days=fleet.dice.randrange(5, DAYS)),
        last_seen_at=seen,
        **_system(fleet),
    )


def _system(fleet: Fleet) -> dict[str, Any]:
    if fleet.platform is Platform.IOS:
        return {
            "os_version": fleet.dice.choice(["16.7", "17.5", "17.6.1", "18.0", "18.1"]),
            "sdk": None,
            "abis": None,
        }
    abis = "arm64-v8a" if fleet.dice.random() < 0.9 else "armeabi-v7a"
    return {
        "sdk": fleet.dice.choices([26, 29, 31, 33, 34, 35], [1, 3, 5, 8, 10, 4])[0],
        "os_version": None,
        "abis": abis,
    }


def _funnel(
    session: Session,
    fleet: Fleet,
    version: Version,
    release_id: int,
    began: datetime,
    now: datetime,
    *,
    share: float,
    failing: float,
) -> None:
    """Add hourly counts of a release's stages, for its first ten days."""
    counted: Counter[tuple[datetime, Stage]] = Counter()
    total = int(fleet.devices * share)
    for _ in range(total):
        at = began + timedelta(hours=fleet.dice.expovariate(1 / 50))
        for stage, chance, hours in (
            (Stage.OFFERED, 1.0, 0),
            (Stage.DOWNLOADED, 0.95, 1),
            (Stage.INSTALLED, 0.96, 3),
            (Stage.HEALTHY, 0.97, 4),
        ):
            if fleet.dice.random() > chance or at + timedelta(hours=hours) > now:
                break
            counted[hour_of(at + timedelta(hours=hours)), stage] += 1
        if fleet.dice.random() < failing and at + timedelta(hours=5) < now:
            counted[hour_of(at + timedelta(hours=5)), Stage.FAILED] += 1
    rows = [
        {"release_id": release_id, "hour": hour, "stage": stage, "devices": n, "events": n}
        for (hour, stage), n in counted.items()
    ]
    store(session, ReleaseCount, rows)


def _checks(
    session: Session,
    app_id: int,
    channel_id: int,
    fleet: Fleet,
    newest: tuple[Version, int, datetime],
    now: datetime,
    *,
    is_partial: bool,
) -> None:
    """Add two weeks of hourly checks, more by day than by night."""
    counts, outside = [], 0.05 if is_partial else 0.0
    _, release_id, _ = newest
    for ago in range(HOURS, -1, -1):
        hour = hour_of(now - timedelta(hours=ago))
        by_day = 1.1 + math.sin((hour.hour - 8) / 24 * 2 * math.pi)
        checks = int(fleet.devices / 6 * by_day * fleet.dice.uniform(0.9, 1.1))
        for reason, share in (
            ("up_to_date", 0.91 - outside),
            ("update_available", 0.09),
            ("not_in_rollout", outside),
        ):
            offered = release_id if reason == "update_available" else 0
            counts.append(
                of(
                    app_id,
                    fleet,
                    channel_id=channel_id,
                    hour=hour,
                    release_id=offered,
                    reason=reason,
                    checks=int(checks * share),
                )
            )
    store(session, CheckCount, counts)
