"""Single devices: the list of them, what one has done, and forgetting one. A device is known by the keyed hash of its id alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, exists, or_, select
from sqlalchemy.orm import Session, aliased, joinedload

from ota.core.platforms import Platform
from ota.devices import groups
from ota.errors import NotFound
from ota.history import audit
from ota.history.audit import Actor
from ota.models import (
    App,
    Device,
    DeviceGroup,
    Event,
    FailureSignature,
    Release,
    ReleaseDevice,
    UpdateCheck,
    UpdateCompletion,
    Version,
)

_WAYS = 50
_AT_ONCE = 1_000
"""So many moments of one time are told at most."""

Cursor = tuple[datetime, int]
"""The last device of a page: when it was seen last, and its row's id."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of devices, the one that was seen last first. ``after`` is None on the last page."""

    devices: Sequence[Device]
    after: Cursor | None


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that the device has done. ``version`` is the one of an event, and ``signature`` what failures like it have in common."""

    at: datetime
    row: UpdateCheck | Event | UpdateCompletion
    version: Version | None = None
    signature: FailureSignature | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of a device of an app. ``devices`` are its rows by platform, the last seen first: an id may be used on both.

    ``moments`` go from the newest to the oldest; there are older ones before ``before`` where that is not None.
    """

    device_hash: str
    devices: Sequence[Device]
    groups: Sequence[DeviceGroup]
    ways: Sequence[tuple[ReleaseDevice, Release]]
    moments: Sequence[Moment]
    before: datetime | None

    @property
    def device(self) -> Device | None:
        """As it described itself last; None when it is only in groups, or forgotten."""
        return self.devices[0] if self.devices else None


def listed(
    session: Session,
    app_id: int,
    platform: Platform,
    *,
    now: datetime,
    unseen_days: int | None = None,
    version: str | None = None,
    after: Cursor | None = None,
    limit: int = 50,
) -> Listed:
    """Devices of one platform, those seen last first. ``unseen_days``: those that have not asked for so long; ``version``: those that
    run exactly this."""
    query = select(Device).where(Device.app_id == app_id, Device.platform == platform)
    if unseen_days is not None:
        query = query.where(Device.last_seen_at <= now - timedelta(days=unseen_days))
    if version is not None:
        query = query.where(Device.app_version == version)
    if after is not None:
        seen, row_id = after
        # The first condition says nothing new; with it the database begins in the index where the page before ended.
        query = query.where(Device.last_seen_at <= seen, or_(Device.last_seen_at < seen, Device.id < row_id))
    found = session.scalars(
        query.order_by(Device.last_seen_at.desc(), Device.id.desc()).limit(limit + 1)
    ).all()
    last = found[limit - 1] if len(found) > limit else None
    return Listed(found[:limit], (last.last_seen_at, last.id) if last else None)


def known(session: Session, app: App, hashes: Sequence[str]) -> str:
    """The first of these hashes of which anything is known. Raises `NotFound`."""
    for each in hashes[:-1]:
        try:
            story(session, app, each, limit=1)
        except NotFound:
            continue
        return each
    return story(session, app, hashes[-1], limit=1).device_hash


def story(
    session: Session, app: App, device_hash: str, *, before: datetime | None = None, limit: int = 200
) -> Story:
    """What a device has done. Raises `NotFound` when nothing at all is known of it."""
    # Naming both platforms lets the database use the index that begins with app and platform.
    of_app = select(Device).where(
        Device.app_id == app.id, Device.platform.in_(list(Platform)), Device.device_hash == device_hash
    )
    devices = session.scalars(of_app.order_by(Device.last_seen_at.desc())).all()
    moments, older = _moments(session, app.id, device_hash, before, limit)
    in_groups = groups.groups_of(session, app.id, device_hash)
    named = session.scalars(
        select(DeviceGroup).where(DeviceGroup.id.in_(in_groups)).order_by(DeviceGroup.name)
    ).all()
    ways = _ways(session, app.id, device_hash)
    if not (devices or moments or named or ways):
        raise NotFound(
            "unknown_device",
            f"No device with this id has asked for {app.name} yet. Expected the id as the app sends it.",
        )
    return Story(device_hash, devices, named, ways, moments, older)


def forget(session: Session, actor: Actor, app: App, device_hash: str, *, now: datetime) -> int:
    """Delete everything that is known of the device in this app, also that it is in groups. Answers how many rows that were.

    Counts by the hour and by the day stay: they name nobody. A device that asks again is a new one. Raises `NotFound`.
    """
    known = story(session, app, device_hash, limit=1)
    deleted = 0
    for group in known.groups:
        deleted += groups.remove_devices(session, actor, group, [device_hash], hashed=_is_one, now=now)
    of_app = select(Release.id).join(Release.version).where(Version.app_id == app.id)
    deleted += _delete(
        session,
        Device,
        Device.app_id == app.id,
        Device.platform.in_(list(Platform)),
        Device.device_hash == device_hash,
    )
    deleted += _delete(
        session, ReleaseDevice, ReleaseDevice.device_id == device_hash, ReleaseDevice.release_id.in_(of_app)
    )
    for model in (UpdateCheck, UpdateCompletion, Event):
        deleted += _delete(session, model, model.app_id == app.id, model.device_id == device_hash)
    audit.record(
        session,
        actor,
        "device.forgotten",
        ("app", app.id),
        now=now,
        app_id=app.id,
        before={"device": device_hash[:10], "rows": deleted},
    )
    return deleted


def _is_one(text: str) -> str:
    """It is a hash already."""
    return text


def _delete(session: Session, model: Any, *which: ColumnElement[bool]) -> int:
    found = session.execute(delete(model).where(*which), execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", found).rowcount


def _ways(session: Session, app_id: int, device_hash: str) -> Sequence[tuple[ReleaseDevice, Release]]:
    later = aliased(ReleaseDevice)
    same = (
        later.release_id == ReleaseDevice.release_id,
        later.device_id == device_hash,
        later.is_control == ReleaseDevice.is_control,
    )
    is_last = ~exists().where(*same, later.turn > ReleaseDevice.turn)  # Of its turns in a control.
    query = (
        select(ReleaseDevice, Release)
        .join(Release, Release.id == ReleaseDevice.release_id)
        .join(Release.version)
        .where(ReleaseDevice.device_id == device_hash, Version.app_id == app_id, is_last)
        .options(joinedload(Release.version), joinedload(Release.channel))
    )
    rows = session.execute(
        query.order_by(ReleaseDevice.release_id.desc(), ReleaseDevice.is_control).limit(_WAYS)
    )
    return [(row[0], row[1]) for row in rows]


def _moments(
    session: Session, app_id: int, device_hash: str, before: datetime | None, limit: int
) -> tuple[Sequence[Moment], datetime | None]:
    """So many moments before then, and the time from which on there are older ones. Moments of one time stay together."""
    checks: Any = select(UpdateCheck).where(
        UpdateCheck.app_id == app_id, UpdateCheck.device_id == device_hash
    )
    events: Any = (
        select(Event, Version, FailureSignature)
        .outerjoin(Version, Version.id == Event.version_id)
        .outerjoin(FailureSignature, FailureSignature.id == Event.signature_id)
        .where(Event.app_id == app_id, Event.device_id == device_hash)
    )
    done: Any = select(UpdateCompletion).where(
        UpdateCompletion.app_id == app_id,
        UpdateCompletion.platform.in_(list(Platform)),
        UpdateCompletion.device_id == device_hash,
    )
    parts = ((checks, UpdateCheck.created_at), (events, Event.at), (done, UpdateCompletion.completed_at))
    found = [
        moment
        for query, at in parts
        for moment in _newest(session, query if before is None else query.where(at < before), at, limit + 1)
    ]
    found.sort(key=lambda each: each.at, reverse=True)
    if len(found) <= limit:
        return found, None
    # Moments of one time stay together, however many they are: the next page begins before that time.
    last = found[limit - 1].at
    kept = [each for each in found if each.at > last]
    kept += [
        moment for query, at in parts for moment in _newest(session, query.where(at == last), at, _AT_ONCE)
    ]
    has_older = any(_newest(session, query.where(at < last), at, 1) for query, at in parts)
    return kept, last if has_older else None


def _newest(session: Session, query: Any, at: Any, limit: int) -> list[Moment]:
    rows = session.execute(query.add_columns(at).order_by(at.desc()).limit(limit))
    return [Moment(row[-1], *row[:-1]) for row in rows]
