"""Counting update checks: the devices themselves, what they were offered, and what they show to have happened since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.apps import apps
from ota.core.rollout import FULL, bucket
from ota.core.silence import longest_gap
from ota.core.versions import parse_current_version
from ota.devices import devices
from ota.devices.devices import Sighting
from ota.models import Channel, Device, Release, UpdateCheck, Version
from ota.telemetry import control_group, journeys
from ota.telemetry.hourly_counts import Tallies
from ota.telemetry.journeys import Completion, Offered
from ota.telemetry.records import Check
from ota.telemetry.sightings import Key, Known, Seen


class Offer(NamedTuple):
    """What a release offers, and to whom."""

    version: str
    version_code: int
    starts_at: datetime
    salt: str
    bucket_from: int
    rollout: int


def count(
    session: Session,
    tallies: Tallies,
    checks: Sequence[Check],
    keeping: Mapping[int, bool],
    *,
    secret: str,
    now: datetime,
) -> None:
    """Count checks in the order in which they came. ``keeping`` says of each app whether anything is kept of single devices."""
    if not checks:
        return
    seen = _known(session, checks, keeping, secret)
    for each in seen:
        tallies.check(
            each.app_id,
            each.check.channel_id,
            each.platform,
            each.check.at,
            each.check.release_id,
            each.check.reason,
        )
    offers = _offered(session, seen)
    _write(session, seen, offers)
    of_devices = [each for each in seen if each.device is not None]
    known = _known_devices(session, of_devices)
    # Offers first: a later check of the same batch may show that the device has taken it.
    journeys.offer(session, tallies, _made(of_devices, offers, known))
    _follow(session, tallies, of_devices, known)
    control_group.enrol(
        session, [each for each in of_devices if each.check.release_id is None], known, now=now
    )
    devices.note(session, _sightings(of_devices, known))


def _known(session: Session, checks: Sequence[Check], keeping: Mapping[int, bool], secret: str) -> list[Seen]:
    app_of = {row.id: row.app_id for row in session.execute(select(Channel.id, Channel.app_id))}
    hashes: dict[str, str] = {}
    seen = []
    for check in checks:
        app_id, said, device = app_of.get(check.channel_id), check.said, None
        if app_id is None:
            continue  # The channel was deleted since.
        if said.device_id and keeping.get(app_id):
            device = hashes.get(said.device_id) or hashes.setdefault(
                said.device_id, devices.hashed(secret, said.device_id)
            )
        current = parse_current_version(said.current_version)
        seen.append(Seen(check, app_id, apps.find_platform(said.platform), device, current))
    return seen


def _offered(session: Session, seen: Iterable[Seen]) -> dict[int | None, Offer]:
    """What the releases offered."""
    ids = {each.check.release_id for each in seen} - {None}
    query = select(
        Release.id,
        Version.version,
        Version.version_code,
        Release.starts_at,
        Release.salt,
        Release.bucket_from,
        Release.rollout,
    ).join(Release.version)
    return {row[0]: Offer(*row[1:]) for row in session.execute(query.where(Release.id.in_(ids)))}


def _made(
    seen: Iterable[Seen], offers: Mapping[int | None, Offer], known: Mapping[Key, Known]
) -> Iterable[Offered]:
    """The offers to devices. Who is let in by a group, or because a person asked, was not drawn."""
    for each in seen:
        offer, release_id = offers.get(each.check.release_id), each.check.release_id
        if offer is None or release_id is None:
            continue
        device = known.get(each.key)
        is_known = device is not None and device.first_seen_at < offer.starts_at
        is_drawn = (
            offer.rollout == FULL
            or 0 <= bucket(offer.salt, each.check.said.device_id or "") - offer.bucket_from < offer.rollout
        )
        yield Offered(release_id, each.key[2], offer.version_code, each.check.at, is_known, is_drawn)


def _write(session: Session, seen: Iterable[Seen], offers: Mapping[int | None, Offer]) -> None:
    rows = [
        {
            "app_id": each.app_id,
            "channel_id": each.check.channel_id,
            "device_id": each.device,
            "platform": each.platform,
            "current_version": each.current.text,
            "release_id": each.check.release_id,
            "reason": each.check.reason,
            "offered_version": offers[each.check.release_id].version
            if each.check.release_id in offers
            else None,
            "created_at": each.check.at,
        }
        for each in seen
    ]
    if rows:
        session.connection().execute(UpdateCheck.__table__.insert(), rows)  # type: ignore[attr-defined]


def _follow(session: Session, tallies: Tallies, seen: Sequence[Seen], known: Mapping[Key, Known]) -> None:
    """Notice who runs another version than at the last check: who was offered it has completed the update, whatever it said."""
    runs = {key: device.app_version for key, device in known.items()}
    moved: list[Completion] = []
    for each in seen:
        if each.key in known and each.check.at < known[each.key].last_seen_at:
            continue  # From another machine's journal: what it ran then is no news.
        before, runs[each.key] = runs.get(each.key), each.current.text
        if before is not None and before != each.current.text:
            moved.append(
                Completion(
                    each.app_id,
                    each.platform,
                    each.key[2],
                    before,
                    each.current.text,
                    each.current.build,
                    each.check.at,
                )
            )
    journeys.follow(session, tallies, moved)


def _known_devices(session: Session, seen: Sequence[Seen]) -> dict[Key, Known]:
    query = select(
        Device.app_id,
        Device.platform,
        Device.device_hash,
        Device.app_version,
        Device.first_seen_at,
        Device.last_seen_at,
        Device.longest_gap,
    )
    # Naming apps and platforms lets the database use the index that begins with them, and not read all devices for each batch.
    whose = (
        Device.app_id.in_({each.app_id for each in seen}),
        Device.platform.in_({each.platform for each in seen}),
    )
    found = session.execute(query.where(*whose, Device.device_hash.in_({each.device for each in seen})))
    return {(row[0], row[1], row[2]): Known(*row[3:]) for row in found}


def _sightings(seen: Iterable[Seen], known: Mapping[Key, Known]) -> Iterable[Sighting]:
    """The last word of each device. What it did not say this time is still true."""
    last: dict[Key, Sighting] = {}
    for each in seen:
        said, before = each.check.said, last.get(each.key)
        last[each.key] = Sighting(
            channel_id=each.check.channel_id,
            platform=each.platform,
            device_hash=each.key[2],
            app_version=each.current.text,
            version_code=each.current.build,
            sdk=said.sdk or (before.sdk if before else None),
            os_version=said.os_version or (before.os_version if before else None),
            abis=tuple(sorted(set(said.abis or ()))) or (before.abis if before else ()),
            at=each.check.at,
            longest_gap=_gap(before, known.get(each.key), each.check.at),
        )
    return last.values()


def _gap(before: Sighting | None, known: Known | None, at: datetime) -> int:
    """The device's longest gap, with the one that ended now."""
    if before is not None:
        return longest_gap(before.longest_gap, at - before.at)
    return longest_gap(known.longest_gap, at - known.last_seen_at) if known is not None else 0
