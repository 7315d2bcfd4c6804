"""Counting events and completions that devices reported themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from ota.core.health_tests import Policy, placed_at
from ota.core.platforms import Platform
from ota.core.telemetry import FAILURES, STAGES, EventKind, Stage
from ota.core.versions import parse_current_version
from ota.devices import devices
from ota.models import Event, ReleaseDevice
from ota.telemetry import failures, journeys
from ota.telemetry.failures import Known, Told
from ota.telemetry.hourly_counts import Tallies, insert
from ota.telemetry.journeys import Completion
from ota.telemetry.records import CompletionReport, EventReport

_POLICY = Policy()
"""How long reports may be on their way is the same for all apps."""

_RUNS_IT = frozenset(
    {EventKind.INSTALLED, EventKind.LAUNCH_OK, EventKind.LAUNCH_FAILED, EventKind.CRASH, EventKind.ANR}
)
"""What only a device can say that has the version."""


def count(
    session: Session, tallies: Tallies, reports: Sequence[EventReport | CompletionReport], *, secret: str
) -> None:
    """Count reports in their order. An event of a device that was never offered the version is kept and counts for no release."""
    told = [_completion(each, secret) for each in reports if isinstance(each, CompletionReport)]
    if told:
        journeys.complete(session, tallies, told)
    events = _different(
        Told(each, devices.hashed(secret, each.device_id))
        for each in reports
        if isinstance(each, EventReport)
    )
    if not events:
        return
    ways = journeys.ways_of(session, {(each.device, each.report.version_id) for each in events})
    known = failures.known(session, events, ways.keys())
    new = _insert(session, events, ways, known)
    fresh = [each for each in events if each.key in new]
    failures.grow(session, known, fresh)
    for each in fresh:
        _take(session, tallies, each.report, ways.get((each.device, each.report.version_id), []))


def _different(told: Iterable[Told]) -> list[Told]:
    """Without repeats inside of the batch."""
    found: dict[tuple[int, str, str], Told] = {}
    for each in told:
        found.setdefault(each.key, each)
    return list(found.values())


def _completion(report: CompletionReport, secret: str) -> Completion:
    device = devices.hashed(secret, report.device_id)
    code = parse_current_version(report.to_version).build
    return Completion(
        report.app_id,
        Platform(report.platform),
        device,
        report.from_version,
        report.to_version,
        code,
        report.at,
    )


def _insert(
    session: Session,
    events: Sequence[Told],
    ways: Mapping[tuple[str, int], Sequence[ReleaseDevice]],
    known: Mapping[failures.EventKey, Known],
) -> set[tuple[int, str, str]]:
    """Keep the events. Answers the keys of those that are new: a repeat came before."""
    rows: list[dict[str, Any]] = []
    for each in events:
        report, found = each.report, known.get(each.key)
        way = next(
            (way for way in ways.get((each.device, report.version_id), ()) if not way.is_control), None
        )
        rows.append(
            {
                "app_id": report.app_id,
                "device_id": each.device,
                "event_id": report.event_id,
                "kind": report.kind,
                "version_id": report.version_id,
                "release_id": None if way is None else way.release_id,
                "signature_id": None if found is None else found.id,
                "duration_ms": report.duration_ms,
                "at": report.at,
                "received_at": report.received_at,
            }
        )
    statement = (
        insert(session, Event)
        .on_conflict_do_nothing()
        .returning(Event.app_id, Event.device_id, Event.event_id)
    )
    return {(row[0], row[1], row[2]) for row in session.execute(statement, rows)}


def _take(session: Session, tallies: Tallies, report: EventReport, ways: Sequence[ReleaseDevice]) -> None:
    """Take the device's ways as far as the event says."""
    kind = EventKind(report.kind)
    stage = STAGES.get(kind)
    at = placed_at(report.at, report.received_at, _POLICY)
    asked: set[int] = set()
    for way in ways:
        if way.left_at is not None and at >= way.left_at:
            continue
        if way.is_control:
            # The turn in which it was when it failed, which is the last one that had begun.
            is_turn = way.release_id not in asked and way.enrolled_at is not None and way.enrolled_at <= at
            if is_turn:
                asked.add(way.release_id)
                if kind in FAILURES - {EventKind.INSTALL_FAILED}:
                    journeys.fail(session, tallies, way, kind, at)
            continue
        if kind in _RUNS_IT and way.installed_at is None:
            journeys.reach(session, tallies, way, Stage.INSTALLED, max(at, way.enrolled_at or at))
        if stage is not None:
            tallies.stage(way.release_id, stage, at, events=1)
        if stage is Stage.FAILED:
            journeys.fail(session, tallies, way, kind, at)
        elif stage is not None:
            journeys.reach(session, tallies, way, stage, at)
