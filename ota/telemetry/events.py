"""Count events and completions that devices reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ota.core.platforms import Platform
from ota.core.telemetry import FAILURES, STAGES, EventKind, Stage
from ota.core.versions import parse_current_version
from ota.devices import devices
from ota.models import Event, ReleaseDevice
from ota.telemetry import failures, journeys
from ota.telemetry.completions import Completion
from ota.telemetry.failures import EventKey, FailureSeen, KnownFailures
from ota.telemetry.hourly_counts import HourlyCounts, insert
from ota.telemetry.journeys import Pair
from ota.telemetry.meaning import PROVES_INSTALLED, counted_at
from ota.telemetry.records import CompletionReport, EventReport

_CONTROL_FAILURES = FAILURES - {EventKind.INSTALL_FAILED}
"""Failures that a device of the control group can have too."""


def count(
    session: Session, counts: HourlyCounts, reports: Sequence[EventReport | CompletionReport], *, secret: str
) -> None:
    """Count reports in their order.

    An event of a device that was never offered the version is kept, and counts for no release.
    """
    completed = [_completion(each, secret) for each in reports if isinstance(each, CompletionReport)]
    if completed:
        journeys.complete(session, counts, completed)
    events = _without_repeats(
        FailureSeen(each, devices.hashed(secret, each.device_id))
        for each in reports
        if isinstance(each, EventReport)
    )
    if events:
        _count_events(session, counts, events)


def _count_events(session: Session, counts: HourlyCounts, events: Sequence[FailureSeen]) -> None:
    by_pair = journeys.find(session, {_pair(each) for each in events})
    known = failures.known(session, events, by_pair.keys())
    inserted = _insert(session, events, by_pair, known)
    new = [each for each in events if each.key in inserted]
    failures.grow(session, known, new)
    for each in new:
        _advance(session, counts, each.report, by_pair.get(_pair(each), ()))


def _pair(seen: FailureSeen) -> Pair:
    return seen.device, seen.report.version_id


def _without_repeats(events: Iterable[FailureSeen]) -> list[FailureSeen]:
    found: dict[EventKey, FailureSeen] = {}
    for each in events:
        found.setdefault(each.key, each)
    return list(found.values())


def _completion(report: CompletionReport, secret: str) -> Completion:
    return Completion(
        report.app_id,
        Platform(report.platform),
        devices.hashed(secret, report.device_id),
        report.from_version,
        report.to_version,
        parse_current_version(report.to_version).build,
        report.at,
    )


def _insert(
    session: Session,
    events: Sequence[FailureSeen],
    by_pair: Mapping[Pair, Sequence[ReleaseDevice]],
    known: Mapping[EventKey, KnownFailures],
) -> set[EventKey]:
    """Insert the events, and return the keys of those that are new. The others were counted before."""
    rows = [_row(each, by_pair.get(_pair(each), ()), known.get(each.key)) for each in events]
    statement = (
        insert(session, Event)
        .on_conflict_do_nothing()
        .returning(Event.app_id, Event.device_id, Event.event_id)
    )
    return {(row[0], row[1], row[2]) for row in session.execute(statement, rows)}


def _row(
    seen: FailureSeen, device_journeys: Sequence[ReleaseDevice], group: KnownFailures | None
) -> dict[str, Any]:
    report = seen.report
    journey = next((each for each in device_journeys if not each.is_control), None)
    return {
        "app_id": report.app_id,
        "device_id": seen.device,
        "event_id": report.event_id,
        "kind": report.kind,
        "version_id": report.version_id,
        "release_id": None if journey is None else journey.release_id,
        "signature_id": None if group is None else group.id,
        "duration_ms": report.duration_ms,
        "at": report.at,
        "received_at": report.received_at,
    }


def _advance(
    session: Session,
    counts: HourlyCounts,
    report: EventReport,
    device_journeys: Sequence[ReleaseDevice],
) -> None:
    """Take the device's journeys to the stage that the event reports."""
    kind, at = EventKind(report.kind), counted_at(report)
    has_control_day: set[int] = set()
    for journey in device_journeys:
        if journey.left_at is not None and at >= journey.left_at:
            continue
        if not journey.is_control:
            _advance_rollout(session, counts, journey, kind, at)
        elif _had_begun(journey, at) and journey.release_id not in has_control_day:
            # The control day of a failure is the last one that had begun: the last day comes first.
            has_control_day.add(journey.release_id)
            if kind in _CONTROL_FAILURES:
                journeys.fail(session, counts, journey, kind, at)


def _had_begun(journey: ReleaseDevice, at: datetime) -> bool:
    return journey.enrolled_at is not None and journey.enrolled_at <= at


def _advance_rollout(
    session: Session, counts: HourlyCounts, journey: ReleaseDevice, kind: EventKind, at: datetime
) -> None:
    stage = STAGES.get(kind)
    if kind in PROVES_INSTALLED and journey.installed_at is None:
        journeys.reach(session, counts, journey, Stage.INSTALLED, max(at, journey.enrolled_at or at))
    if stage is not None:
        counts.stage(journey.release_id, stage, at, events=1)
    if stage is Stage.FAILED:
        journeys.fail(session, counts, journey, kind, at)
    elif stage is not None:
        journeys.reach(session, counts, journey, stage, at)
