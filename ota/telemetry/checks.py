"""Count update checks: the devices, their offers, and the completed updates that checks show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.apps import apps
from ota.core.rollout import FULL, bucket, buckets_inside
from ota.core.silence import longest_gap
from ota.core.versions import parse_current_version
from ota.devices import devices
from ota.devices.devices import Sighting
from ota.models import Channel, Device, Release, UpdateCheck, Version
from ota.telemetry import control_group, journeys
from ota.telemetry.completions import Completion
from ota.telemetry.hourly_counts import HourlyCounts
from ota.telemetry.journeys import OfferMade
from ota.telemetry.records import CheckReport
from ota.telemetry.sightings import CheckSeen, Key, KnownDevice


class ReleaseOffer(NamedTuple):
    """What a release offers, and to which buckets."""

    version: str
    version_code: int
    starts_at: datetime
    salt: str
    bucket_from: int
    rollout: int

    def draws(self, device_id: str) -> bool:
        """Whether the rollout includes the device by its bucket, not because of a group or its user."""
        if self.rollout == FULL:
            return True
        return bucket(self.salt, device_id) in buckets_inside(self.rollout, self.bucket_from)


def count(
    session: Session,
    counts: HourlyCounts,
    checks: Sequence[CheckReport],
    keeping: Mapping[int, bool],
    *,
    secret: str,
    now: datetime,
) -> None:
    """Count checks in their order. ``keeping`` says for each app whether it keeps single devices."""
    if not checks:
        return
    seen = _on_existing_channels(session, checks, keeping, secret)
    _count_answers(counts, seen)
    offers = _offers(session, seen)
    _write(session, seen, offers)
    with_device = [each for each in seen if each.device is not None]
    known = _known_devices(session, with_device)
    # Offers first: a later check of the same batch can show that the device has installed it.
    journeys.offer(session, counts, _offers_made(with_device, offers, known))
    _follow(session, counts, with_device, known)
    without_offer = [each for each in with_device if each.check.release_id is None]
    control_group.enroll(session, without_offer, known, now=now)
    devices.note(session, _sightings(with_device, known))


def _on_existing_channels(
    session: Session, checks: Sequence[CheckReport], keeping: Mapping[int, bool], secret: str
) -> list[CheckSeen]:
    """Resolve app and device of each check, and leave out checks on channels that were deleted meanwhile."""
    app_of = {row.id: row.app_id for row in session.execute(select(Channel.id, Channel.app_id))}
    hashes: dict[str, str] = {}
    seen = []
    for check in checks:
        app_id, body, device = app_of.get(check.channel_id), check.body, None
        if app_id is None:
            continue
        if body.device_id and keeping.get(app_id):
            device = hashes.get(body.device_id) or hashes.setdefault(
                body.device_id, devices.hashed(secret, body.device_id)
            )
        current = parse_current_version(body.current_version)
        seen.append(CheckSeen(check, app_id, apps.find_platform(body.platform), device, current))
    return seen


def _count_answers(counts: HourlyCounts, seen: Iterable[CheckSeen]) -> None:
    for each in seen:
        check = each.check
        counts.check(each.app_id, check.channel_id, each.platform, check.at, check.release_id, check.reason)


def _offers(session: Session, seen: Iterable[CheckSeen]) -> dict[int | None, ReleaseOffer]:
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
    return {row[0]: ReleaseOffer(*row[1:]) for row in session.execute(query.where(Release.id.in_(ids)))}


def _offers_made(
    seen: Iterable[CheckSeen], offers: Mapping[int | None, ReleaseOffer], known: Mapping[Key, KnownDevice]
) -> Iterable[OfferMade]:
    for each in seen:
        offer, release_id = offers.get(each.check.release_id), each.check.release_id
        if offer is None or release_id is None:
            continue
        device = known.get(each.key)
        is_known = device is not None and device.first_seen_at < offer.starts_at
        is_drawn = offer.draws(each.check.body.device_id or "")
        yield OfferMade(release_id, each.key[2], offer.version_code, each.check.at, is_known, is_drawn)


def _write(session: Session, seen: Iterable[CheckSeen], offers: Mapping[int | None, ReleaseOffer]) -> None:
    rows = []
    for each in seen:
        offer = offers.get(each.check.release_id)
        rows.append(
            {
                "app_id": each.app_id,
                "channel_id": each.check.channel_id,
                "device_id": each.device,
                "platform": each.platform,
                "current_version": each.current.text,
                "release_id": each.check.release_id,
                "reason": each.check.reason,
                "offered_version": offer.version if offer is not None else None,
                "created_at": each.check.at,
            }
        )
    if rows:
        session.connection().execute(UpdateCheck.__table__.insert(), rows)  # type: ignore[attr-defined]


def _follow(
    session: Session, counts: HourlyCounts, seen: Sequence[CheckSeen], known: Mapping[Key, KnownDevice]
) -> None:
    """Complete the updates of devices that now run the version that they were offered."""
    runs = {key: device.app_version for key, device in known.items()}
    moved: list[Completion] = []
    for each in seen:
        if each.key in known and each.check.at < known[each.key].last_seen_at:
            continue  # From another machine's journal, and older than what is known.
        before, runs[each.key] = runs.get(each.key), each.current.text
        if before is not None and before != each.current.text:
            moved.append(_completion(each, before))
    journeys.follow(session, counts, moved)


def _completion(seen: CheckSeen, before: str) -> Completion:
    current = seen.current
    return Completion(
        seen.app_id, seen.platform, seen.key[2], before, current.text, current.build, seen.check.at
    )


def _known_devices(session: Session, seen: Sequence[CheckSeen]) -> dict[Key, KnownDevice]:
    query = select(
        Device.app_id,
        Device.platform,
        Device.device_hash,
        Device.app_version,
        Device.first_seen_at,
        Device.last_seen_at,
        Device.longest_gap,
    )
    # Apps and platforms are named so that the database uses the index that begins with them, instead of
    # reading
    # all devices for each batch.
    query = query.where(
        Device.app_id.in_({each.app_id for each in seen}),
        Device.platform.in_({each.platform for each in seen}),
        Device.device_hash.in_({each.device for each in seen}),
    )
    return {(row[0], row[1], row[2]): KnownDevice(*row[3:]) for row in session.execute(query)}


def _sightings(seen: Iterable[CheckSeen], known: Mapping[Key, KnownDevice]) -> Iterable[Sighting]:
    """The latest sighting of each device. Fields missing from its last check keep their value."""
    last: dict[Key, Sighting] = {}
    for each in seen:
        body, before = each.check.body, last.get(each.key)
        last[each.key] = Sighting(
            channel_id=each.check.channel_id,
            platform=each.platform,
            device_hash=each.key[2],
            app_version=each.current.text,
            version_code=each.current.build,
            sdk=body.sdk or (before.sdk if before else None),
            os_version=body.os_version or (before.os_version if before else None),
            abis=tuple(sorted(set(body.abis or ()))) or (before.abis if before else ()),
            at=each.check.at,
            longest_gap=_gap(before, known.get(each.key), each.check.at),
        )
    return last.values()


def _gap(before: Sighting | None, known: KnownDevice | None, at: datetime) -> int:
    """The device's longest gap in seconds, including the one that this check ends."""
    if before is not None:
        return longest_gap(before.longest_gap, at - before.at)
    return longest_gap(known.longest_gap, at - known.last_seen_at) if known is not None else 0
