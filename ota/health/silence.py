"""Note which devices of a release, and of its control group, have stopped checking."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from ota.core.health_votes import Policy, placed_at
from ota.core.silence import KNOWN_FOR, SHARE_OF_SILENCE
from ota.models import Device, Release, ReleaseDevice

_BATCH = 5_000
"""Silent devices noted in one transaction. The next look notes more."""

_BEGAN = func.coalesce(ReleaseDevice.offered_at, ReleaseDevice.enrolled_at)
"""A device of the release is observed from its offer: one that does not survive the installation never
reports it.
"""


def note(session: Session, release: Release, policy: Policy, *, since: datetime, now: datetime) -> None:
    """Note which devices are regular, and which of them have been silent for ``policy.silence``. Notes stay.

    A device that is not regular when it is first seen here is passed over for good. No device counts as
    silent for longer than the latest check of any device is old: while checks wait to be counted, all devices
    would seem silent.
    """
    _note_regular(session, release, policy.silence, since)
    last = session.scalar(select(func.max(Device.last_seen_at)).where(*_of_platform(release)))
    if last is not None:
        _note_silent(session, release, policy, since, min(last, now), now)


def _note_regular(session: Session, release: Release, silence: timedelta, since: datetime) -> None:
    is_regular = exists().where(
        *_is_device(release),
        Device.longest_gap <= int(silence.total_seconds()) // SHARE_OF_SILENCE,
        Device.first_seen_at <= since - KNOWN_FOR * silence,
    )
    new = ReleaseDevice.release_id == release.id, ReleaseDevice.is_regular.is_(None), since <= _BEGAN
    _execute(session, update(ReleaseDevice).where(*new).values(is_regular=is_regular))


def _note_silent(
    session: Session, release: Release, policy: Policy, since: datetime, last: datetime, now: datetime
) -> None:
    query = _silent(release, since, last - policy.silence).limit(_BATCH)
    for device, is_control, seen_at in session.execute(query).all():
        which = (
            ReleaseDevice.release_id == release.id,
            ReleaseDevice.device_id == device,
            ReleaseDevice.is_control == is_control,
            ReleaseDevice.silent_at.is_(None),
        )
        at = placed_at(seen_at + policy.silence, now, policy)
        _execute(session, update(ReleaseDevice).where(*which).values(silent_at=at))


def _silent(release: Release, since: datetime, before: datetime) -> Select[str, bool, datetime]:
    """Regular devices that last checked before this moment and are not noted as silent yet."""
    # A device that was offered something else since then could have been silenced by that.
    other = aliased(ReleaseDevice)
    moved_on = exists().where(
        other.device_id == ReleaseDevice.device_id, other.release_id != release.id, other.offered_at > _BEGAN
    )
    return (
        select(ReleaseDevice.device_id, ReleaseDevice.is_control, Device.last_seen_at)
        .join(Device, and_(*_is_device(release)))
        .where(
            ReleaseDevice.release_id == release.id,
            ReleaseDevice.is_regular.is_(True),
            ReleaseDevice.silent_at.is_(None),
            ReleaseDevice.left_at.is_(None),
            since <= _BEGAN,
            Device.last_seen_at <= before,
            ~moved_on,
        )
    )


def _of_platform(release: Release) -> tuple[ColumnElement[bool], ...]:
    return Device.app_id == release.version.app_id, Device.platform == release.platform


def _is_device(release: Release) -> tuple[ColumnElement[bool], ...]:
    return *_of_platform(release), Device.device_hash == ReleaseDevice.device_id


def _execute(session: Session, statement: Any) -> None:
    session.execute(statement, execution_options={"synchronize_session": False})
