"""Counting events and completions that devices reported themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ota.core.health import Policy, placed_at
from ota.core.platforms import Platform
from ota.core.telemetry import FAILURES, STAGES, WITH_TEXT, EventKind, Stage
from ota.core.versions import parse_current_version
from ota.models import Event, FailureSignature, ReleaseDevice
from ota.services import devices, release_devices
from ota.services.records import CompletionReport, EventReport
from ota.services.release_devices import Completion
from ota.services.tallies import Tallies, insert

_POLICY = Policy()
"""How long reports may be on their way is the same for all apps."""

_RUNS_IT = frozenset({EventKind.INSTALLED, EventKind.LAUNCH_OK, EventKind.LAUNCH_FAILED, EventKind.CRASH, EventKind.ANR})
"""What only a device can say that has the version."""


def count(session: Session, tallies: Tallies, reports: Sequence[EventReport | CompletionReport], *, secret: str) -> None:
    """Count reports in their order. An event of a device that was never offered the version is kept and counts for no release."""
    told = [_completion(each, secret) for each in reports if isinstance(each, CompletionReport)]
    if told:
        release_devices.complete(session, tallies, told)
    events = [(each, devices.hashed(secret, each.device_id)) for each in reports if isinstance(each, EventReport)]
    ways = release_devices.ways_of(session, {(device, each.version_id) for each, device in events}) if events else {}
    for each, device in events:
        _count_one(session, tallies, each, device, ways.get((device, each.version_id), []))


def _completion(report: CompletionReport, secret: str) -> Completion:
    device = devices.hashed(secret, report.device_id)
    code = parse_current_version(report.to_version).build
    return Completion(report.app_id, Platform(report.platform), device, report.from_version, report.to_version, code, report.at)


def _count_one(session: Session, tallies: Tallies, report: EventReport, device: str, ways: Sequence[ReleaseDevice]) -> None:
    kind = EventKind(report.kind)
    way = next((each for each in ways if not each.is_control), None)
    signature = _signature(session, report) if kind in WITH_TEXT and report.signature else None
    is_first_of_device = signature is not None and not _has(session, signature, device)
    row: dict[str, Any] = {
        "app_id": report.app_id, "device_id": device, "event_id": report.event_id, "kind": kind, "version_id": report.version_id,
        "release_id": None if way is None else way.release_id, "signature_id": None if signature is None else signature.id,
        "duration_ms": report.duration_ms, "at": report.at, "received_at": report.received_at,
    }  # fmt: skip
    if session.scalar(insert(session, Event).values(row).on_conflict_do_nothing().returning(Event.id)) is None:
        return  # The same event came before.
    if signature is not None:
        signature.events += 1
        signature.devices += is_first_of_device
        signature.last_at = max(signature.last_at, report.at)
    _take(session, tallies, kind, report, ways)


def _take(session: Session, tallies: Tallies, kind: EventKind, report: EventReport, ways: Sequence[ReleaseDevice]) -> None:
    """Take the device's ways as far as the event says."""
    stage = STAGES.get(kind)
    at = placed_at(report.at, report.received_at, _POLICY)
    for way in ways:
        if way.left_at is not None and at >= way.left_at:
            continue
        if way.is_control:
            if kind in FAILURES - {EventKind.INSTALL_FAILED}:
                release_devices.reach(session, tallies, way, Stage.FAILED, at, kind)
            continue
        if kind in _RUNS_IT and way.installed_at is None:
            release_devices.reach(session, tallies, way, Stage.INSTALLED, at)
        if stage is not None:
            tallies.stage(way.release_id, stage, at, events=1)
            release_devices.reach(session, tallies, way, stage, at, kind if stage is Stage.FAILED else None)


def _signature(session: Session, report: EventReport) -> FailureSignature:
    key = {"version_id": report.version_id, "kind": report.kind, "signature": report.signature}
    new = {**key, "sample": report.text, "events": 0, "devices": 0, "first_at": report.at, "last_at": report.at}
    session.execute(insert(session, FailureSignature).values(new).on_conflict_do_nothing())
    return session.scalars(select(FailureSignature).filter_by(**key)).one()


def _has(session: Session, signature: FailureSignature, device: str) -> bool:
    found = session.scalar(select(func.count()).where(Event.signature_id == signature.id, Event.device_id == device))
    return bool(found)
