"""Failures that look alike: grouped by version, kind and signature, and counted as events and as devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, select, update
from sqlalchemy.orm import Session

from ota.core.telemetry import WITH_TEXT
from ota.models import Event, FailureSignature
from ota.services.records import EventReport
from ota.services.tallies import insert

Key = tuple[int, str, str]
"""Version, kind and signature."""


class Told(NamedTuple):
    """An event with the hash of the device that told it."""

    report: EventReport
    device: str

    @property
    def key(self) -> tuple[int, str, str]:
        """What makes it the same event when it comes again."""
        return self.report.app_id, self.device, self.report.event_id


@dataclass(frozen=True, slots=True)
class Known:
    """A signature, and those of the devices asked about that have had it before."""

    id: int
    devices: set[str]


def key_of(told: Told) -> Key:
    """The group that an event belongs to; the signature is empty where it belongs to none."""
    report = told.report
    return report.version_id, report.kind, (report.signature or "") if report.kind in WITH_TEXT else ""


def known(session: Session, events: Sequence[Told]) -> Mapping[Key, Known]:
    """The signatures of these events; new ones are made, with the text of the first event."""
    first: dict[Key, EventReport] = {}
    for each in events:
        if key_of(each)[2]:
            first.setdefault(key_of(each), each.report)
    if not first:
        return {}
    rows = [
        {
            "version_id": key[0], "kind": key[1], "signature": key[2], "sample": report.text, "events": 0, "devices": 0,
            "first_at": report.at, "last_at": report.at,
        }
        for key, report in sorted(first.items(), key=lambda item: item[0])  # In one order everywhere: no two writers wait for each other.
    ]  # fmt: skip
    session.connection().execute(insert(session, FailureSignature).on_conflict_do_nothing(), rows)
    table = FailureSignature
    query = select(table.id, table.version_id, table.kind, table.signature).where(
        table.version_id.in_({key[0] for key in first}), table.signature.in_({key[2] for key in first})
    )
    found = {(row.version_id, row.kind, row.signature): Known(row.id, set()) for row in session.execute(query)}
    by_id = {each.id: each for each in found.values()}
    before = (
        select(Event.signature_id, Event.device_id)
        .distinct()
        .where(Event.signature_id.in_(by_id), Event.device_id.in_({each.device for each in events if key_of(each)[2]}))
    )
    for signature_id, device in session.execute(before):
        by_id[signature_id].devices.add(device)  # type: ignore[index]  # Chosen by its id.
    return found


def grow(session: Session, found: Mapping[Key, Known], fresh: Iterable[Told]) -> None:
    """Count events that are new, each device of a signature once."""
    more: dict[int, tuple[int, int, datetime]] = {}
    for each in fresh:
        signature = found.get(key_of(each))
        if signature is None:
            continue
        events, devices, last = more.get(signature.id, (0, 0, each.report.at))
        more[signature.id] = events + 1, devices + (each.device not in signature.devices), max(last, each.report.at)
        signature.devices.add(each.device)
    if not more:
        return
    table: Any = FailureSignature.__table__
    last_at = case((table.c.last_at < bindparam("seen_at"), bindparam("seen_at")), else_=table.c.last_at)
    values = {
        "events": table.c.events + bindparam("more_events"),
        "devices": table.c.devices + bindparam("more_devices"),
        "last_at": last_at,
    }
    rows = [
        {"its_id": signature_id, "more_events": events, "more_devices": devices, "seen_at": last}
        for signature_id, (events, devices, last) in sorted(more.items())
    ]
    session.connection().execute(update(table).where(table.c.id == bindparam("its_id")).values(values), rows)
