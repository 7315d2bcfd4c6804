"""Failure groups: failures with the same version, kind and signature, counted as events and as devices."""

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

MAX_GROUPS = 500
"""Failure groups of one version. Made-up signatures must not fill the database."""

OTHER = "other"
"""The signature of all failures beyond `MAX_GROUPS`."""


class FailureSeen(NamedTuple):
    """An event, which may be a failure, with the keyed hash of its device."""

    report: EventReport
    device: str

    @property
    def key(self) -> EventKey:
        """Equal for an event and its repeats."""
        return self.report.app_id, self.device, self.report.event_id


@dataclass(frozen=True, slots=True)
class KnownFailures:
    """A failure group, with those devices of the batch that had the failure before."""

    id: int
    devices: set[str]


def key_of(seen: FailureSeen) -> Key:
    """Return the key of the event's group. Its signature is empty for an event that belongs to none."""
    report = seen.report
    return report.version_id, report.kind, (report.signature or "") if report.kind in WITH_TEXT else ""


def known(
    session: Session, events: Sequence[FailureSeen], journeys: Collection[tuple[str, int]]
) -> Mapping[EventKey, KnownFailures]:
    """Return the groups of the events that count, by `FailureSeen.key`. New groups are created.

    A new group keeps the text of its first event. An event counts if its device has a journey with the
    version (``journeys``: device and version), or was last seen running it. Anybody can send events, and a
    device without the version can't have its failures. A version has at most `MAX_GROUPS` groups; later
    failures go to `OTHER`.
    """
    counting = _that_count(session, [each for each in events if key_of(each)[2]], journeys)
    if not counting:
        return {}
    first: dict[Key, EventReport] = {}
    for each in counting:
        first.setdefault(key_of(each), each.report)
    found = _existing(session, first)
    found |= _create(session, {key: first[key] for key in sorted(first.keys() - found.keys())})
    # One object for each group: a device itself can send the signature `OTHER`.
    by_id = {each.id: each for each in found.values()}
    found = {key: by_id[each.id] for key, each in found.items()}
    _add_devices(session, by_id, {each.device for each in counting})
    return {each.key: found[key_of(each)] for each in counting}


def _that_count(
    session: Session, events: Sequence[FailureSeen], journeys: Collection[tuple[str, int]]
) -> list[FailureSeen]:
    strangers = [each for each in events if (each.device, each.report.version_id) not in journeys]
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
    have_it = {(device, version_id) for device, version_id in session.execute(runs_it)} | set(journeys)
    return [each for each in events if (each.device, each.report.version_id) in have_it]


def _existing(session: Session, keys: Collection[Key]) -> dict[Key, KnownFailures]:
    table = FailureSignature
    query = select(table.id, table.version_id, table.kind, table.signature).where(
        table.version_id.in_({key[0] for key in keys}), table.signature.in_({key[2] for key in keys})
    )
    found = {(row.version_id, row.kind, row.signature): row.id for row in session.execute(query)}
    return {key: KnownFailures(found[key], set()) for key in keys if key in found}


def _create(session: Session, new: Mapping[Key, EventReport]) -> dict[Key, KnownFailures]:
    """Create the groups of new failures. The keys are those of the failures, not of their groups."""
    groups = _groups_for(session, list(new))
    # Sorted, so that concurrent writers do not wait for each other.
    rows = [_row(groups[key], new[key]) for key in sorted(groups)]
    if not rows:
        return {}
    session.connection().execute(insert(session, FailureSignature).on_conflict_do_nothing(), rows)
    made = _existing(session, groups.values())
    return {key: made[group] for key, group in groups.items()}


def _row(group: Key, first: EventReport) -> dict[str, Any]:
    version_id, kind, signature = group
    return {
        "version_id": version_id,
        "kind": kind,
        "signature": signature,
        "sample": first.text,
        "events": 0,
        "devices": 0,
        "first_at": first.at,
        "last_at": first.at,
    }


def _groups_for(session: Session, new: Sequence[Key]) -> dict[Key, Key]:
    """The group of each new failure: one of its own while its version has room, else `OTHER`."""
    if not new:
        return {}
    table = FailureSignature
    query = (
        select(table.version_id, func.count())
        .where(table.version_id.in_({key[0] for key in new}))
        .group_by(table.version_id)
    )
    counts, groups = Counter[int](), dict[Key, Key]()
    for version_id, number in session.execute(query):
        counts[version_id] = number
    for key in new:
        counts[key[0]] += 1
        groups[key] = key if counts[key[0]] <= MAX_GROUPS else (key[0], key[1], OTHER)
    return groups


def _add_devices(session: Session, by_id: Mapping[int, KnownFailures], devices: Collection[str]) -> None:
    """Note which of the devices had which failure before."""
    before = (
        select(Event.signature_id, Event.device_id)
        .distinct()
        .where(Event.signature_id.in_(by_id), Event.device_id.in_(devices))
    )
    for signature_id, device in session.execute(before):
        by_id[signature_id].devices.add(device)  # type: ignore[index]  # Selected by its id.


def grow(session: Session, found: Mapping[EventKey, KnownFailures], new: Iterable[FailureSeen]) -> None:
    """Count new events in their groups, and each device of a group once."""
    more: dict[int, tuple[int, int, datetime]] = {}
    by_day: dict[tuple[int, date], tuple[int, int]] = {}
    for each in new:
        group = found.get(each.key)
        if group is None:
            continue
        events, devices, last = more.get(group.id, (0, 0, each.report.at))
        is_new, day = each.device not in group.devices, (group.id, each.report.received_at.date())
        more[group.id] = events + 1, devices + is_new, max(last, each.report.at)
        by_day[day] = by_day.get(day, (0, 0))[0] + is_new, by_day.get(day, (0, 0))[1] + 1
        group.devices.add(each.device)
    if more:
        _grow_groups(session, more)
        _grow_days(session, by_day)


def _grow_groups(session: Session, more: Mapping[int, tuple[int, int, datetime]]) -> None:
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
    """Delete the failure groups of a version that is about to be deleted."""
    ids = select(FailureSignature.id).where(FailureSignature.version_id == version_id)
    # The version's events stay until they are pruned, and a later group can get the same id.
    session.execute(
        update(Event).where(Event.signature_id.in_(ids)).values(signature_id=None, version_id=None),
        execution_options={"synchronize_session": False},
    )
    session.execute(
        delete(FailureSignature).where(FailureSignature.version_id == version_id),
        execution_options={"synchronize_session": False},
    )
