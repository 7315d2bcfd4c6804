"""Devices that behave like devices: they update after a while, ask a few times a day, and now and then something fails."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from ota.core.platforms import Platform
from ota.core.telemetry import EventKind, Stage
from ota.db import transaction
from ota.models import (
    Adoption,
    CheckCount,
    Device,
    Event,
    FailureSignature,
    Release,
    ReleaseCount,
    ReleaseDevice,
    UpdateCheck,
    UpdateCompletion,
    Version,
)
from ota.models.base import Base
from ota.services import apps
from ota.services.tallies import hour_of
from ota.web.reports import hashed

Standing = tuple[int, int, datetime]
"""A version, its release, and when that began."""


class Tried(NamedTuple):
    """A partial release, when it began, the share of devices that it is open to, and of those the shares that fail and that install."""

    release_id: int
    began: datetime
    share: float
    failing: float
    installing: float = 1.0


DAYS, HOURS = 120, 24 * 14
CRASHES = (
    ("NullPointerException at OrderList.bind", "java.lang.NullPointerException\n  at com.example.OrderList.bind(OrderList.java:71)"),
    ("OutOfMemoryError in PhotoStore", "java.lang.OutOfMemoryError\n  at com.example.PhotoStore.load(PhotoStore.java:208)"),
    ("IllegalStateException at Scanner.start", "java.lang.IllegalStateException: camera is in use"),
)


@dataclass
class Fleet:
    """The devices of an app on a platform."""

    app: str
    platform: Platform
    devices: int
    seed: int
    dice: random.Random = field(init=False)
    seen: dict[int, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def hash_of(self, number: int) -> str:
        """Of the device with the id courier-android-7 and the like."""
        return hashed(f"{self.app}-{self.platform}-{number}")


def grow(
    fleet: Fleet,
    made: Sequence[Standing],
    now: datetime,
    newest: Tried | None = None,
    beside: Tried | None = None,
    until: datetime | None = None,
) -> None:
    """Let the fleet have used the versions in ``made`` until ``now``, and try what was released last ``until`` it was stopped."""
    with transaction() as session:
        app = apps.find(session, fleet.app)
        named = [(session.get_one(Version, version_id), release_id, at) for version_id, release_id, at in made]
        _adoption(session, app.id, fleet, named, now)
        runs = _devices(session, app.id, fleet, named, now)
        for version, release_id, at in named[-3:]:
            _funnel(session, fleet, version, release_id, at, now, share=1.0, failing=0.006)
        _checks(session, app.id, app.channels[0].id, fleet, named[-1], now)
        _histories(session, app.id, app.channels[0].id, fleet, named, runs)
        taken: set[int] = set()
        for tried in (newest, beside):
            if tried is not None:
                _try(session, app.id, fleet, runs, tried, until or now, taken)


def _insert(session: Session, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        session.execute(insert(model), list(rows))


def _taken(days: float) -> float:
    """The share of devices that has a version so many days after it began."""
    return 0.0 if days <= 0 else 0.96 * (1 - math.exp(-days / 4.5))


def _adoption(session: Session, app_id: int, fleet: Fleet, named: Sequence[tuple[Version, int, datetime]], now: datetime) -> None:
    rows = []
    for ago in range(DAYS, -1, -1):
        day = now - timedelta(days=ago)
        size = fleet.devices * (0.55 + 0.45 * (1 - ago / DAYS)) * (1 + fleet.dice.uniform(-0.01, 0.01))
        left = 1.0
        for version, _, at in reversed(named):
            share = left * _taken((day - at).total_seconds() / 86_400)
            left -= share
            if int(size * share):
                rows.append(_with(app_id, fleet, day=day.date(), app_version=_running(version), devices=int(size * share)))
    _insert(session, Adoption, rows)


def _devices(
    session: Session, app_id: int, fleet: Fleet, named: Sequence[tuple[Version, int, datetime]], now: datetime
) -> dict[int, Version]:
    runs, rows = {}, []
    for number in range(fleet.devices):
        version = next((v for v, _, at in reversed(named) if fleet.dice.random() < _taken((now - at).days)), named[0][0])
        runs[number] = version
        is_lost = fleet.dice.random() < 0.05
        seen = now - timedelta(minutes=int(fleet.dice.uniform(7, 60) * 1_440 if is_lost else fleet.dice.expovariate(1 / 700)))
        fleet.seen[number] = seen
        rows.append(
            _with(
                app_id, fleet, device_hash=fleet.hash_of(number), app_version=_running(version), version_code=version.version_code,
                first_seen_at=seen - timedelta(days=fleet.dice.randrange(1, DAYS)), last_seen_at=seen,
                **_system(fleet),
            )
        )  # fmt: skip
    _insert(session, Device, rows)
    return runs


def _system(fleet: Fleet) -> dict[str, Any]:
    if fleet.platform is Platform.IOS:
        return {"os_version": fleet.dice.choice(["16.7", "17.5", "17.6.1", "18.0", "18.1"]), "sdk": None, "abis": None}
    abis = "arm64-v8a" if fleet.dice.random() < 0.9 else "armeabi-v7a"
    return {"sdk": fleet.dice.choices([26, 29, 31, 33, 34, 35], [1, 3, 5, 8, 10, 4])[0], "os_version": None, "abis": abis}


def _funnel(
    session: Session, fleet: Fleet, version: Version, release_id: int, began: datetime, now: datetime, *, share: float, failing: float
) -> None:
    """Hourly counts of a release's stages, in the first ten days."""
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
    rows = [{"release_id": release_id, "hour": hour, "stage": stage, "devices": n, "events": n} for (hour, stage), n in counted.items()]
    _insert(session, ReleaseCount, rows)


def _checks(session: Session, app_id: int, channel_id: int, fleet: Fleet, newest: tuple[Version, int, datetime], now: datetime) -> None:
    """Two weeks of checks by the hour, more by day than by night."""
    counts = []
    _, release_id, _ = newest
    for ago in range(HOURS, -1, -1):
        hour = hour_of(now - timedelta(hours=ago))
        checks = int(fleet.devices / 6 * (1.1 + math.sin((hour.hour - 8) / 24 * 2 * math.pi)) * fleet.dice.uniform(0.9, 1.1))
        for reason, share in (("up_to_date", 0.86), ("update_available", 0.09), ("not_in_rollout", 0.05)):
            offered = release_id if reason == "update_available" else 0
            counts.append(
                _with(app_id, fleet, channel_id=channel_id, hour=hour, release_id=offered, reason=reason, checks=int(checks * share))
            )
    _insert(session, CheckCount, counts)


def _histories(
    session: Session, app_id: int, channel_id: int, fleet: Fleet, named: Sequence[tuple[Version, int, datetime]], runs: dict[int, Version]
) -> None:
    """The last checks of some devices as they came, with the update to what they run."""
    newest, release_id, began = named[-1]
    before = named[-2][0] if len(named) > 1 else newest
    checks, moves = [], []
    for number in range(min(fleet.devices, 1_500)):
        device, at, runs_newest = fleet.hash_of(number), fleet.seen[number], runs[number] is newest
        checked = _with(app_id, fleet, channel_id=channel_id, device_id=device, offered_version=None, release_id=None)
        for _ in range(4):
            reason = "up_to_date" if runs_newest else "not_in_rollout"
            checks.append({**checked, "current_version": _running(runs[number]), "reason": reason, "created_at": at})
            at -= timedelta(minutes=fleet.dice.randrange(200, 900))
        if runs_newest and at > began:
            offer = {"current_version": _running(before), "offered_version": newest.version, "release_id": release_id}
            checks.append({**checked, **offer, "reason": "update_available", "created_at": at - timedelta(minutes=7)})
            way = {"from_version": _running(before), "to_version": _running(newest), "is_inferred": number % 3 > 0}
            moves.append(_with(app_id, fleet, device_id=device, completed_at=at, **way))
    _insert(session, UpdateCheck, checks)
    _insert(session, UpdateCompletion, moves)


def _try(session: Session, app_id: int, fleet: Fleet, runs: dict[int, Version], tried: Tried, now: datetime, taken: set[int]) -> None:
    """A partial release: its devices with their ways, the control, and what failed. Whom another arm has ``taken`` is in neither."""
    release_id, began, share, failing, installing = tried
    release = session.get_one(Release, release_id)
    version, ways, failed, before = release.version, [], [], frozenset(taken)
    for number, running in runs.items():
        came = began + timedelta(minutes=fleet.dice.expovariate(1 / 300))
        is_in = fleet.dice.random() < share / (1 - len(before) / len(runs))
        if came > now or number in before:
            continue
        if is_in:
            taken.add(number)
        enrolled = came + timedelta(minutes=fleet.dice.randrange(5, 90)) if is_in else came
        installs = not is_in or installing == 1.0 or fleet.dice.random() < installing
        fails = installs and fleet.dice.random() < (failing if is_in else 0.008)
        at = min(now, enrolled + timedelta(minutes=fleet.dice.randrange(1, 240))) if fails else None
        if at is not None and is_in:
            failed.append((number, at))
        ways.append(
            {
                "release_id": release_id, "device_id": fleet.hash_of(number), "is_control": not is_in,
                "version_code": version.version_code if is_in else running.version_code, "offered_at": came if is_in else None,
                "downloaded_at": came if is_in else None, "installed_at": enrolled if is_in and installs else None,
                "enrolled_at": enrolled if installs else None,
                "healthy_at": None if fails or not is_in or not installs else enrolled + timedelta(minutes=3), "failed_at": at,
                "failure": EventKind.CRASH if fails else None, "left_at": None,
            }
        )  # fmt: skip
    _insert(session, ReleaseDevice, ways)
    moved = [way["device_id"] for way in ways if way["installed_at"] is not None and way["installed_at"] <= now]
    has_it = update(Device).where(Device.app_id == app_id, Device.device_hash.in_(moved))
    session.execute(has_it.values(app_version=_running(version), version_code=version.version_code))
    _count_ways(session, release_id, [way for way in ways if not way["is_control"]], now)
    _failures(session, app_id, fleet, version, release_id, failed)


def _count_ways(session: Session, release_id: int, ways: Sequence[dict[str, Any]], now: datetime) -> None:
    """The hourly counts that these devices' ways have made."""
    counted = Counter((hour_of(at), stage) for way in ways for stage in Stage if (at := way[f"{stage.value}_at"]) is not None and at <= now)
    rows = [{"release_id": release_id, "hour": hour, "stage": stage, "devices": n, "events": n} for (hour, stage), n in counted.items()]
    _insert(session, ReleaseCount, rows)


def _failures(
    session: Session, app_id: int, fleet: Fleet, version: Version, release_id: int, failed: Sequence[tuple[int, datetime]]
) -> None:
    if not failed:
        return
    signatures = []
    for signature, text in CRASHES:
        times = [at for _, at in failed]
        row = FailureSignature(
            version_id=version.id,
            kind=EventKind.CRASH,
            signature=signature,
            sample=text,
            events=0,
            devices=0,
            first_at=min(times),
            last_at=max(times),
        )
        session.add(row)
        signatures.append(row)
    session.flush()
    events = []
    for number, at in failed:
        row = fleet.dice.choices(signatures, [8, 3, 1])[0]
        row.events, row.devices = row.events + fleet.dice.randrange(1, 5), row.devices + 1
        events.append(
            {
                "app_id": app_id, "device_id": fleet.hash_of(number), "event_id": f"demo-{number}", "kind": EventKind.CRASH,
                "version_id": version.id, "release_id": release_id, "signature_id": row.id, "at": at, "received_at": at,
            }
        )  # fmt: skip
    _insert(session, Event, events)


def _running(version: Version) -> str:
    return f"{version.version}+{version.version_code}"


def _with(app_id: int, fleet: Fleet, **more: Any) -> dict[str, Any]:
    return {"app_id": app_id, "platform": fleet.platform, **more}
