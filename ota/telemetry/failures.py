"""Failures that look alike: grouped by version, kind and signature, and counted as events and as devices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, case, delete, func, or_, select, update
from sqlalchemy.orm import Session

from ota.core.telemetry import WITH_TEXT
from ota.models import Device, Event, FailureCount, FailureSignature, Version
from ota.telemetry.hourly_counts import insert
from ota.telemetry.records import EventReport

Key = tuple[int, str, str]
"""Version, kind and signature."""

EventKey = tuple[int, str, str]
"""App, device and the event's id."""

MOST = 500
OTHER = "other"
"""The signature of what comes after a version has so many: somebody who makes them up shall not fill the database."""


class Told(NamedTuple):
    """An event with the hash of the device that told it."""

    report: EventReport
    device: str

    @property
    def key(self) -> EventKey:
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


def known(
    session: Session, events: Sequence[Told], ways: Collection[tuple[str, int]]
) -> Mapping[EventKey, Known]:
    """The signatures of those of these events that count, by `Told.key`; new ones are made, with the text of the first event.

    An event counts whose device has a way with the version (``ways``: device and version), or was last seen running it: anybody can send
    events, and what nobody has can't fail. A version has `MOST` signatures; what comes after that is `OTHER`.
    """
    counting = _that_count(session, [each for each in events if key_of(each)[2]], ways)
    if not counting:
        return {}
    first: dict[Key, EventReport] = {}
    for each in counting:
        first.setdefault(key_of(each), each.report)
    found = _there(session, first)
    places = _places(session, sorted(first.keys() - found.keys()))
    rows = [
        {
            "version_id": key[0],
            "kind": key[1],
            "signature": places[key][2],
            "sample": first[key].text,
            "events": 0,
            "devices": 0,
            "first_at": first[key].at,
            "last_at": first[key].at,
        }
        for key in sorted(places)  # In one order everywhere: no two writers wait for each other.
    ]
    if rows:
        session.connection().execute(insert(session, FailureSignature).on_conflict_do_nothing(), rows)
        made = _there(session, places.values())
        found |= {key: made[place] for key, place in places.items()}
    one = {each.id: each for each in found.values()}  # `OTHER` may also be what a device itself says.
    found = {key: one[each.id] for key, each in found.items()}
    _add_devices(session, one, {each.device for each in counting})
    return {each.key: found[key_of(each)] for each in counting}


def _that_count(session: Session, events: Sequence[Told], ways: Collection[tuple[str, int]]) -> list[Told]:
    strangers = [each for each in events if (each.device, each.report.version_id) not in ways]
    if not strangers:
        return list(events)
    is_it = or_(Version.version_code == Device.version_code, Version.version == Device.app_version)
    runs_it = (
        select(Device.device_hash, Version.id)
        .join(Version, and_(Version.app_id == Device.app_id, Version.platform == Device.platform, is_it))
        .where(
            Device.app_id.in_({each.report.app_id for each in strangers}),
            Device.platform.in_({each.report.platform for each in strangers}),
            Device.device_hash.in_({each.device for each in strangers}),
            Version.id.in_({each.report.version_id for each in strangers}),
        )
    )
    known = {(device, version_id) for device, version_id in session.execute(runs_it)} | set(ways)
    return [each for each in events if (each.device, each.report.version_id) in known]


def _there(session: Session, keys: Collection[Key]) -> dict[Key, Known]:
    table = FailureSignature
    query = select(table.id, table.version_id, table.kind, table.signature).where(
        table.version_id.in_({key[0] for key in keys}), table.signature.in_({key[2] for key in keys})
    )
    found = {(row.version_id, row.kind, row.signature): row.id for row in session.execute(query)}
    return {key: Known(found[key], set()) for key in keys if key in found}


def _places(session: Session, new: Sequence[Key]) -> dict[Key, Key]:
    """Where new signatures go: each a row of its own, as long as its version has room."""
    if not new:
        return {}
    table = FailureSignature
    query = (
        select(table.version_id, func.count())
        .where(table.version_id.in_({key[0] for key in new}))
        .group_by(table.version_id)
    )
    counts, places = Counter[int](), dict[Key, Key]()
    for version_id, number in session.execute(query):
        counts[version_id] = number
    for key in new:
        counts[key[0]] += 1
        places[key] = key if counts[key[0]] <= MOST else (key[0], key[1], OTHER)
    return places


def _add_devices(session: Session, by_id: Mapping[int, Known], devices: Collection[str]) -> None:
    """Note which of the devices have had which signature before."""
    before = (
        select(Event.signature_id, Event.device_id)
        .distinct()
        .where(Event.signature_id.in_(by_id), Event.device_id.in_(devices))
    )
    for signature_id, device in session.execute(before):
        by_id[signature_id].devices.add(device)  # type: ignore[index]  # Chosen by its id.


def grow(session: Session, found: Mapping[EventKey, Known], fresh: Iterable[Told]) -> None:
    """Count events that are new, each device of a signature once."""
    more: dict[int, tuple[int, int, datetime]] = {}
    by_day: dict[tuple[int, date], tuple[int, int]] = {}
    for each in fresh:
        signature = found.get(each.key)
        if signature is None:
            continue
        events, devices, last = more.get(signature.id, (0, 0, each.report.at))
        is_new, day = each.device not in signature.devices, (signature.id, each.report.received_at.date())
        more[signature.id] = events + 1, devices + is_new, max(last, each.report.at)
        by_day[day] = by_day.get(day, (0, 0))[0] + is_new, by_day.get(day, (0, 0))[1] + 1
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
    _grow_days(session, by_day)


def _grow_days(session: Session, by_day: Mapping[tuple[int, date], tuple[int, int]]) -> None:
    rows = [
        {"signature_id": signature_id, "day": day, "devices": devices, "events": events}
        for (signature_id, day), (devices, events) in sorted(by_day.items())
    ]
    statement = insert(session, FailureCount)
    grown = {name: getattr(FailureCount, name) + statement.excluded[name] for name in ("devices", "events")}
    session.connection().execute(
        statement.on_conflict_do_update(index_elements=["signature_id", "day"], set_=grown), rows
    )


def forget_version(session: Session, version_id: int) -> None:
    """Delete the failures of a version that is about to be deleted."""
    ids = select(FailureSignature.id).where(FailureSignature.version_id == version_id)
    # Its events stay for a while, and a signature that is made later may get the same id.
    session.execute(
        update(Event).where(Event.signature_id.in_(ids)).values(signature_id=None, version_id=None),
        execution_options={"synchronize_session": False},
    )
    session.execute(
        delete(FailureSignature).where(FailureSignature.version_id == version_id),
        execution_options={"synchronize_session": False},
    )
