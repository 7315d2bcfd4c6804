"""Single devices, known by their keyed hashes: listing them, the timeline of one, and forgetting one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, exists, or_, select
from sqlalchemy.orm import Session, aliased, joinedload

from ota.core.platforms import Platform
from ota.devices import group_members
from ota.devices.devices import looks_hashed
from ota.devices.group_members import Hashed
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

_MAX_JOURNEYS = 50
"""Most journeys that a story has. The newest releases come first."""

_MAX_SIMULTANEOUS = 1_000
"""Most moments of each kind that a story has for one and the same time."""

Cursor = tuple[datetime, int]
"""The last device of a page: the time at which it was last seen, and the id of its row."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of devices, the last seen first. ``after`` is None on the last page."""

    devices: Sequence[Device]
    after: Cursor | None


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that a device did. ``version`` belongs to events, ``signature`` to failures."""

    at: datetime
    row: UpdateCheck | Event | UpdateCompletion
    version: Version | None = None
    signature: FailureSignature | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that is known about one device of an app.

    ``devices`` are its rows, the last seen first: two if the same id is used on both platforms. ``moments``
    are newest first. If there are older ones, they are before ``before``; otherwise that is None.
    """

    device_hash: str
    devices: Sequence[Device]
    groups: Sequence[DeviceGroup]
    journeys: Sequence[tuple[ReleaseDevice, Release]]
    moments: Sequence[Moment]
    before: datetime | None

    @property
    def device(self) -> Device | None:
        """The row that was seen last. None if the device has not checked, or its row was deleted since."""
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
    """Return devices of one platform, the last seen first.

    ``unseen_days`` selects those that have not checked for this many days, ``version`` those that run exactly
    this version.
    """
    query = select(Device).where(Device.app_id == app_id, Device.platform == platform)
    if unseen_days is not None:
        query = query.where(Device.last_seen_at <= now - timedelta(days=unseen_days))
    if version is not None:
        query = query.where(Device.app_version == version)
    if after is not None:
        seen, row_id = after
        # Implied by the second condition. With it the database starts in the index where the last page ended.
        query = query.where(Device.last_seen_at <= seen, or_(Device.last_seen_at < seen, Device.id < row_id))
    found = session.scalars(
        query.order_by(Device.last_seen_at.desc(), Device.id.desc()).limit(limit + 1)
    ).all()
    last = found[limit - 1] if len(found) > limit else None
    return Listed(found[:limit], (last.last_seen_at, last.id) if last else None)


def find(session: Session, app: App, text: str, *, hashed: Hashed) -> str:
    """Return the hash of a device, given its id or its hash. Raises `NotFound` (``unknown_device``).

    An app can send ids that look like hashes, so the text is first taken as an id.
    """
    text = text.strip()
    try:
        return story(session, app, hashed(text), limit=1).device_hash
    except NotFound:
        if not looks_hashed(text):
            raise
    return story(session, app, text, limit=1).device_hash


def story(
    session: Session, app: App, device_hash: str, *, before: datetime | None = None, limit: int = 200
) -> Story:
    """Return what is known about a device, with its newest moments. Raises `NotFound` if that is nothing."""
    # Naming both platforms lets the database use the index that begins with app and platform.
    of_app = select(Device).where(
        Device.app_id == app.id, Device.platform.in_(list(Platform)), Device.device_hash == device_hash
    )
    devices = session.scalars(of_app.order_by(Device.last_seen_at.desc())).all()
    moments, older = _moments(session, app.id, device_hash, before, limit)
    groups = group_members.groups_of(session, app.id, device_hash)
    journeys = _journeys(session, app.id, device_hash)
    if not (devices or moments or groups or journeys):
        raise NotFound(
            "unknown_device",
            f"No device with this id has asked for {app.name} yet. Expected the id as the app sends it.",
        )
    return Story(device_hash, devices, groups, journeys, moments, older)


def forget(session: Session, actor: Actor, app: App, device_hash: str, *, now: datetime) -> int:
    """Delete everything that is known about a device of the app. Return the number of rows deleted.

    Its memberships in groups go too. Hourly and daily counts stay, because they name no device. If the device
    checks again, it is a new one. Raises `NotFound`.
    """
    groups = story(session, app, device_hash, limit=1).groups
    deleted = 0
    for group in groups:
        deleted += group_members.remove(session, actor, group, [device_hash], hashed=_as_it_is, now=now)
    deleted += _delete_rows(session, app.id, device_hash)
    before = {"device": device_hash[:10], "rows": deleted}
    audit.record(session, actor, "device.forgotten", ("app", app.id), now=now, app_id=app.id, before=before)
    return deleted


def _as_it_is(device_hash: str) -> str:
    """Take the place of the hashing function for a text that is a hash already."""
    return device_hash


def _delete_rows(session: Session, app_id: int, device_hash: str) -> int:
    of_app = select(Release.id).join(Release.version).where(Version.app_id == app_id)
    deleted = _delete(
        session,
        Device,
        Device.app_id == app_id,
        Device.platform.in_(list(Platform)),
        Device.device_hash == device_hash,
    )
    deleted += _delete(
        session, ReleaseDevice, ReleaseDevice.device_id == device_hash, ReleaseDevice.release_id.in_(of_app)
    )
    for model in (UpdateCheck, UpdateCompletion, Event):
        deleted += _delete(session, model, model.app_id == app_id, model.device_id == device_hash)
    return deleted


def _delete(session: Session, model: Any, *which: ColumnElement[bool]) -> int:
    found = session.execute(delete(model).where(*which), execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", found).rowcount


def _journeys(session: Session, app_id: int, device_hash: str) -> Sequence[tuple[ReleaseDevice, Release]]:
    later = aliased(ReleaseDevice)
    same = (
        later.release_id == ReleaseDevice.release_id,
        later.device_id == device_hash,
        later.is_control == ReleaseDevice.is_control,
    )
    is_last = ~exists().where(*same, later.turn > ReleaseDevice.turn)  # Of its days in the control group.
    query = (
        select(ReleaseDevice, Release)
        .join(Release, Release.id == ReleaseDevice.release_id)
        .join(Release.version)
        .where(ReleaseDevice.device_id == device_hash, Version.app_id == app_id, is_last)
        .options(joinedload(Release.version), joinedload(Release.channel))
    )
    rows = session.execute(
        query.order_by(ReleaseDevice.release_id.desc(), ReleaseDevice.is_control).limit(_MAX_JOURNEYS)
    )
    return [(row[0], row[1]) for row in rows]


def _moments(
    session: Session, app_id: int, device_hash: str, before: datetime | None, limit: int
) -> tuple[Sequence[Moment], datetime | None]:
    """Return the newest moments before ``before``, and the time before which there are older ones.

    Moments of one time stay together, even above the limit: the next page begins before that time.
    """
    kinds = _kinds_of_moments(app_id, device_hash)
    found = [
        moment
        for query, at in kinds
        for moment in _newest(session, query if before is None else query.where(at < before), at, limit + 1)
    ]
    found.sort(key=lambda each: each.at, reverse=True)
    if len(found) <= limit:
        return found, None
    last = found[limit - 1].at
    kept = [each for each in found if each.at > last]
    for query, at in kinds:
        kept += _newest(session, query.where(at == last), at, _MAX_SIMULTANEOUS)
    has_older = any(_newest(session, query.where(at < last), at, 1) for query, at in kinds)
    return kept, last if has_older else None


def _kinds_of_moments(app_id: int, device_hash: str) -> Sequence[tuple[Any, Any]]:
    """Return one query for each kind of moment, with the column of its time."""
    checks = select(UpdateCheck).where(UpdateCheck.app_id == app_id, UpdateCheck.device_id == device_hash)
    events = (
        select(Event, Version, FailureSignature)
        .outerjoin(Version, Version.id == Event.version_id)
        .outerjoin(FailureSignature, FailureSignature.id == Event.signature_id)
        .where(Event.app_id == app_id, Event.device_id == device_hash)
    )
    completions = select(UpdateCompletion).where(
        UpdateCompletion.app_id == app_id,
        UpdateCompletion.platform.in_(list(Platform)),
        UpdateCompletion.device_id == device_hash,
    )
    return (
        (checks, UpdateCheck.created_at),
        (events, Event.at),
        (completions, UpdateCompletion.completed_at),
    )


def _newest(session: Session, query: Any, at: Any, limit: int) -> list[Moment]:
    rows = session.execute(query.add_columns(at).order_by(at.desc()).limit(limit))
    return [Moment(row[-1], *row[:-1]) for row in rows]
