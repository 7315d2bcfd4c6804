"""A partial release in the made-up fleet: the devices that the server's own draw lets in, their ways, and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, or_
from sqlalchemy.orm import Session

from ota.core.rollout import bucket, buckets_inside
from ota.core.telemetry import EventKind, Stage
from ota.models import Event, FailureCount, FailureSignature, Release, ReleaseCount, ReleaseDevice, Version
from ota.releases import watch
from ota.telemetry.hourly_counts import hour_of
from scripts.demo_rows import Fleet, store

CRASHES = (
    (
        "NullPointerException at OrderList.bind",
        "java.lang.NullPointerException\n  at com.example.OrderList.bind(OrderList.java:71)",
    ),
    (
        "OutOfMemoryError in PhotoStore",
        "java.lang.OutOfMemoryError\n  at com.example.PhotoStore.load(PhotoStore.java:208)",
    ),
    ("IllegalStateException at Scanner.start", "java.lang.IllegalStateException: camera is in use"),
)
STAGES = {
    "downloaded_at": EventKind.DOWNLOAD_COMPLETED,
    "installed_at": EventKind.INSTALLED,
    "healthy_at": EventKind.LAUNCH_OK,
}


class Tried(NamedTuple):
    """A release, when it began, and the shares of its devices that fail and that install. ``is_watched``: it is halted when it is bad."""

    release_id: int
    began: datetime
    failing: float
    installing: float = 1.0
    is_watched: bool = False


@dataclass
class Trial:
    """What came of it: the way of each device that was let in, by its number, and when it was halted."""

    release: Release
    halted_at: datetime | None = None
    ways: dict[int, dict[str, Any]] = field(default_factory=dict)


def attempt(
    session: Session,
    app_id: int,
    fleet: Fleet,
    runs: dict[int, Version],
    tried: Tried,
    others: Sequence[Trial],
    now: datetime,
) -> Trial:
    """Devices come, are let in or are the control, install and fail, until it is halted. Whom another arm let in is in neither."""
    trial = Trial(session.get_one(Release, tried.release_id))
    controls = []
    for number, running in runs.items():
        came = tried.began + timedelta(
            minutes=40 if number == fleet.shown else fleet.dice.expovariate(1 / 300)
        )
        if fleet.seen[number] < tried.began or came > now or any(number in other.ways for other in others):
            continue
        if _is_let_in(trial.release, fleet.id_of(number)):
            trial.ways[number] = {
                **_way(fleet, tried, number, came, now),
                "version_code": trial.release.version.version_code,
            }
        else:
            controls.append(_control(fleet, trial.release, number, running, came, now))
    store(session, ReleaseDevice, [*trial.ways.values(), *controls])
    if tried.is_watched:
        trial.halted_at = _watch(session, tried)
        _stop(session, trial)
    else:
        watch.evaluate(session, tried.release_id, now=now)
    for number, way in trial.ways.items():
        fleet.seen[number] = max(fleet.seen[number], min(now, way["installed_at"] or way["offered_at"]))
        if way["installed_at"] is not None:
            runs[number] = trial.release.version
    _count(session, trial, now)
    _report(session, app_id, fleet, trial)
    return trial


def settle(
    session: Session,
    fleet: Fleet,
    runs: Mapping[int, Version],
    newest: tuple[Version, int, datetime],
    now: datetime,
) -> None:
    """The ways of the devices that run what is open to everybody, and the look at them."""
    version, release_id, began = newest
    trial, tried = Trial(session.get_one(Release, release_id)), Tried(release_id, began, 0.006)
    for number, running in runs.items():
        came = began + timedelta(hours=fleet.dice.expovariate(1 / 50))
        if running is version and came < now:
            trial.ways[number] = {
                **_way(fleet, tried, number, came, now),
                "version_code": version.version_code,
            }
    store(session, ReleaseDevice, list(trial.ways.values()))
    _count(session, trial, now)
    watch.evaluate(session, release_id, now=now)


def _is_let_in(release: Release, device_id: str) -> bool:
    return bucket(release.salt, device_id) in buckets_inside(release.rollout, release.bucket_from)


def _way(fleet: Fleet, tried: Tried, number: int, came: datetime, now: datetime) -> dict[str, Any]:
    enrolled = came + timedelta(minutes=fleet.dice.randrange(5, 90))
    installs = number == fleet.shown or fleet.dice.random() < tried.installing
    fails = installs and (number == fleet.shown or fleet.dice.random() < tried.failing)
    minutes = 95 if number == fleet.shown else fleet.dice.randrange(1, 240)
    at = enrolled + timedelta(minutes=minutes) if fails else None
    is_well = installs and (at is None or minutes > 60)
    way = {
        "release_id": tried.release_id,
        "device_id": fleet.hash_of(number),
        "is_control": False,
        "offered_at": came,
        "downloaded_at": came + timedelta(minutes=3),
        "installed_at": enrolled if installs else None,
        "enrolled_at": came,
        "healthy_at": enrolled + timedelta(minutes=3) if is_well else None,
        "failed_at": at,
        "crashed_at": at,
        "failure": EventKind.CRASH if fails else None,
        "left_at": None,
    }
    later = {
        name: None
        for name in (*STAGES, "failed_at", "crashed_at")
        if way[name] is not None and way[name] > now
    }
    return {**way, **later, **({"failure": None} if "failed_at" in later else {})}


def _control(
    fleet: Fleet, release: Release, number: int, running: Version, came: datetime, now: datetime
) -> dict[str, Any]:
    at = came + timedelta(minutes=fleet.dice.randrange(1, 240)) if fleet.dice.random() < 0.008 else None
    fails = at is not None and at <= now
    return {
        "release_id": release.id,
        "device_id": fleet.hash_of(number),
        "is_control": True,
        "version_code": running.version_code,
        "offered_at": None,
        "downloaded_at": None,
        "installed_at": None,
        "enrolled_at": came,
        "healthy_at": None,
        "failed_at": at if fails else None,
        "crashed_at": at if fails else None,
        "failure": EventKind.CRASH if fails else None,
        "left_at": None,
    }


def _watch(session: Session, tried: Tried) -> datetime | None:
    """Look every ten minutes, as the server does every minute, until it is halted; answers when that was."""
    for minutes in range(60, 60 * 24, 10):
        at = tried.began + timedelta(minutes=minutes)
        found = watch.evaluate(session, tried.release_id, now=at)
        if found is not None and found.is_bad:
            return at
    return None


def _stop(session: Session, trial: Trial) -> None:
    """Nobody comes any more once it is halted."""
    if trial.halted_at is None:
        return
    is_late = or_(
        ReleaseDevice.offered_at > trial.halted_at,
        ReleaseDevice.is_control & (ReleaseDevice.enrolled_at > trial.halted_at),
    )
    session.execute(delete(ReleaseDevice).where(ReleaseDevice.release_id == trial.release.id, is_late))
    trial.ways = {number: way for number, way in trial.ways.items() if way["offered_at"] <= trial.halted_at}


def _count(session: Session, trial: Trial, now: datetime) -> None:
    """The hourly counts that these devices' ways have made."""
    times = ((way[f"{stage.value}_at"], stage) for way in trial.ways.values() for stage in Stage)
    counted = Counter((hour_of(at), stage) for at, stage in times if at is not None and at <= now)
    store(
        session,
        ReleaseCount,
        [
            {"release_id": trial.release.id, "hour": hour, "stage": stage, "devices": n, "events": n}
            for (hour, stage), n in counted.items()
        ],
    )


def _report(session: Session, app_id: int, fleet: Fleet, trial: Trial) -> None:
    """What these devices have told of themselves."""
    release, events, failures = trial.release, [], Counter[tuple[int, date, str]]()
    crashes = _signatures(session, release.version, trial.ways)
    for number, way in trial.ways.items():
        told = [(kind, way[name], None) for name, kind in STAGES.items() if way[name] is not None]
        if way["failed_at"] is not None:
            crash = crashes[0] if number == fleet.shown else fleet.dice.choices(crashes, [8, 3, 1])[0]
            times = 2 if number == fleet.shown else fleet.dice.randrange(1, 4)
            crash.events, crash.devices = crash.events + times, crash.devices + 1
            failures.update(
                {
                    (crash.id, way["failed_at"].date(), "devices"): 1,
                    (crash.id, way["failed_at"].date(), "events"): times,
                }
            )
            told += [
                (EventKind.CRASH, way["failed_at"] + timedelta(minutes=9 * again), crash.id)
                for again in range(times)
            ]
        events += [
            {
                "app_id": app_id,
                "device_id": fleet.hash_of(number),
                "event_id": f"demo-{release.id}-{place}",
                "kind": kind,
                "version_id": release.version_id,
                "release_id": release.id,
                "signature_id": signature_id,
                "at": at,
                "received_at": at,
            }
            for place, (kind, at, signature_id) in enumerate(told)
        ]
    store(session, Event, events)
    days = sorted({(signature_id, day) for signature_id, day, _ in failures})
    store(
        session,
        FailureCount,
        [
            {
                "signature_id": signature_id,
                "day": day,
                **{what: failures[signature_id, day, what] for what in ("devices", "events")},
            }
            for signature_id, day in days
        ],
    )


def _signatures(
    session: Session, version: Version, ways: Mapping[int, Mapping[str, Any]]
) -> list[FailureSignature]:
    times = [way["failed_at"] for way in ways.values() if way["failed_at"] is not None]
    if not times:
        return []
    made = [
        FailureSignature(
            version_id=version.id,
            kind=EventKind.CRASH,
            signature=signature,
            sample=text,
            events=0,
            devices=0,
            first_at=min(times),
            last_at=max(times),
        )
        for signature, text in CRASHES
    ]
    session.add_all(made)
    session.flush()
    return made
