"""A partial release in the demo's fleet: the devices drawn by the server's own rule, and their journeys."""

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
    """A release, its start, and the shares of its devices that fail and install.

    ``is_watched``: it is halted when it is found bad.
    """

    release_id: int
    began: datetime
    failing: float
    installing: float = 1.0
    is_watched: bool = False


@dataclass
class Trial:
    """Result of a tried release: the journeys of the drawn devices by number, and the time of a halt."""

    release: Release
    halted_at: datetime | None = None
    journeys: dict[int, dict[str, Any]] = field(default_factory=dict)


def attempt(
    session: Session,
    app_id: int,
    fleet: Fleet,
    runs: dict[int, Version],
    tried: Tried,
    others: Sequence[Trial],
    now: datetime,
) -> Trial:
    """Draw devices into the release or the control group. Let them install and fail, until it is halted.

    Devices of another arm are in neither.
    """
    trial = Trial(session.get_one(Release, tried.release_id))
    controls = []
    for number, running in runs.items():
        came = tried.began + timedelta(
            minutes=40 if number == fleet.shown else fleet.dice.expovariate(1 / 300)
        )
        if (
            fleet.seen[number] < tried.began
            or came > now
            or any(number in other.journeys for other in others)
        ):
            continue
        if _is_drawn(trial.release, fleet.id_of(number)):
            trial.journeys[number] = {
                **_journey(fleet, tried, number, came, now),
                "version_code": trial.release.version.version_code,
            }
        else:
            controls.append(_control(fleet, trial.release, number, running, came, now))
    store(session, ReleaseDevice, [*trial.journeys.values(), *controls])
    if tried.is_watched:
        trial.halted_at = _watch(session, tried)
        _stop(session, trial)
    else:
        watch.evaluate(session, tried.release_id, now=now)
    for number, journey in trial.journeys.items():
        fleet.seen[number] = max(
            fleet.seen[number], min(now, journey["installed_at"] or journey["offered_at"])
        )
        if journey["installed_at"] is not None:
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
    """Add journeys of the devices that run the newest full release, and evaluate its health."""
    version, release_id, began = newest
    trial, tried = Trial(session.get_one(Release, release_id)), Tried(release_id, began, 0.006)
    for number, running in runs.items():
        came = began + timedelta(hours=fleet.dice.expovariate(1 / 50))
        if running is version and came < now:
            trial.journeys[number] = {
                **_journey(fleet, tried, number, came, now),
                "version_code": version.version_code,
            }
    store(session, ReleaseDevice, list(trial.journeys.values()))
    _count(session, trial, now)
    watch.evaluate(session, release_id, now=now)


def _is_drawn(release: Release, device_id: str) -> bool:
    return bucket(release.salt, device_id) in buckets_inside(release.rollout, release.bucket_from)


def _journey(fleet: Fleet, tried: Tried, number: int, came: datetime, now: datetime) -> dict[str, Any]:
    enrolled = came + timedelta(minutes=fleet.dice.randrange(5, 90))
    installs = number == fleet.shown or fleet.dice.random() < tried.installing
    fails = installs and (number == fleet.shown or fleet.dice.random() < tried.failing)
    minutes = 95 if number == fleet.shown else fleet.dice.randrange(1, 240)
    at = enrolled + timedelta(minutes=minutes) if fails else None
    is_well = installs and (at is None or minutes > 60)
    journey = {
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
        if journey[name] is not None and journey[name] > now
    }
    return {**journey, **later, **({"failure": None} if "failed_at" in later else {})}


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
    """Evaluate every ten minutes (the server does every minute). Return the time of the halt, if any."""
    for minutes in range(60, 60 * 24, 10):
        at = tried.began + timedelta(minutes=minutes)
        found = watch.evaluate(session, tried.release_id, now=at)
        if found is not None and found.is_bad:
            return at
    return None


def _stop(session: Session, trial: Trial) -> None:
    """Remove the devices that came after the halt."""
    if trial.halted_at is None:
        return
    is_late = or_(
        ReleaseDevice.offered_at > trial.halted_at,
        ReleaseDevice.is_control & (ReleaseDevice.enrolled_at > trial.halted_at),
    )
    session.execute(delete(ReleaseDevice).where(ReleaseDevice.release_id == trial.release.id, is_late))
    trial.journeys = {
        number: journey
        for number, journey in trial.journeys.items()
        if journey["offered_at"] <= trial.halted_at
    }


def _count(session: Session, trial: Trial, now: datetime) -> None:
    """Add the hourly counts of these journeys."""
    times = ((journey[f"{stage.value}_at"], stage) for journey in trial.journeys.values() for stage in Stage)
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
    """Add the events that these devices reported, and the counts of their failures."""
    release, events, failures = trial.release, [], Counter[tuple[int, date, str]]()
    crashes = _signatures(session, release.version, trial.journeys)
    for number, journey in trial.journeys.items():
        reported = [(kind, journey[name], None) for name, kind in STAGES.items() if journey[name] is not None]
        if journey["failed_at"] is not None:
            reported += _crash(fleet, number, journey["failed_at"], crashes, failures)
        events += [
            _event(app_id, fleet.hash_of(number), release, place, *event)
            for place, event in enumerate(reported)
        ]
    store(session, Event, events)
    store(session, FailureCount, _failure_counts(failures))


def _crash(
    fleet: Fleet,
    number: int,
    at: datetime,
    crashes: Sequence[FailureSignature],
    failures: Counter[tuple[int, date, str]],
) -> list[tuple[EventKind, datetime, Any]]:
    """Count a device's crashes. Return them."""
    crash = crashes[0] if number == fleet.shown else fleet.dice.choices(crashes, [8, 3, 1])[0]
    times = 2 if number == fleet.shown else fleet.dice.randrange(1, 4)
    crash.events, crash.devices = crash.events + times, crash.devices + 1
    failures.update({(crash.id, at.date(), "devices"): 1, (crash.id, at.date(), "events"): times})
    return [(EventKind.CRASH, at + timedelta(minutes=9 * again), crash.id) for again in range(times)]


def _event(
    app_id: int,
    device_id: str,
    release: Release,
    place: int,
    kind: EventKind,
    at: datetime,
    signature_id: int | None,
) -> dict[str, Any]:
    return {
        "app_id": app_id,
        "device_id": device_id,
        "event_id": f"demo-{release.id}-{place}",
        "kind": kind,
        "version_id": release.version_id,
        "release_id": release.id,
        "signature_id": signature_id,
        "at": at,
        "received_at": at,
    }


def _failure_counts(failures: Counter[tuple[int, date, str]]) -> list[dict[str, Any]]:
    days = sorted({(signature_id, day) for signature_id, day, _ in failures})
    return [
        {
            "signature_id": signature_id,
            "day": day,
            **{what: failures[signature_id, day, what] for what in ("devices", "events")},
        }
        for signature_id, day in days
    ]


def _signatures(
    session: Session, version: Version, journeys: Mapping[int, Mapping[str, Any]]
) -> list[FailureSignature]:
    times = [journey["failed_at"] for journey in journeys.values() if journey["failed_at"] is not None]
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
