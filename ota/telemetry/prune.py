"""Deleting what is kept of devices when it is old, and all of it for apps that keep nothing: in batches, so that counting goes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, and_, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from ota.core.rollout import FULL
from ota.models import (
    App,
    Device,
    Event,
    FailureSignature,
    Release,
    ReleaseDevice,
    UpdateCheck,
    UpdateCompletion,
    Version,
)
from ota.telemetry import counting

CHECKS_KEPT = timedelta(days=30)
REPORTS_KEPT = timedelta(days=90)
BATCH = 5_000
"""So many rows of a table are deleted in one transaction at most: counting must not wait long for it."""

_HAS_EVENTS = exists().where(Event.signature_id == FailureSignature.id)


def prune(session: Session, *, now: datetime) -> bool:
    """Delete what is older than it is kept, of each table at most `BATCH` rows. True while there is more to delete."""
    counting.forget_positions(session, now=now)
    old = now - REPORTS_KEPT
    deleted = [
        _delete(session, UpdateCheck, UpdateCheck.created_at < now - CHECKS_KEPT),
        _delete(session, UpdateCompletion, UpdateCompletion.completed_at < old),
        _delete(session, Event, Event.received_at < old),
        _delete(session, FailureSignature, FailureSignature.last_at < old, ~_HAS_EVENTS),
        _delete_ways(session, old),
    ]
    nothing = session.scalars(select(App.id).where(App.keeps_devices.is_(False))).all()
    if nothing:
        deleted += _forget(session, nothing)
    return max(deleted) >= BATCH


def _delete_ways(session: Session, old: datetime) -> int:
    """Ways of releases that ended, and those of open ones that lead nowhere any more. Who is still offered a release keeps its way, or it
    would be counted as offered again."""
    begun = func.coalesce(ReleaseDevice.offered_at, ReleaseDevice.enrolled_at) < old
    ended = select(Release.id).where(Release.ended_at < old)
    settled = select(Release.id).where(
        Release.starts_at < old, Release.rollout == FULL
    )  # Nobody watches them any more.
    asks = (
        exists(Device.id)
        .where(
            Device.device_hash == ReleaseDevice.device_id,
            Device.app_id == Version.app_id,
            Device.platform == Version.platform,
        )
        .where(Version.id == Release.version_id, Release.id == ReleaseDevice.release_id)
    )
    is_done = or_(
        ReleaseDevice.is_control,
        ReleaseDevice.installed_at.is_not(None),
        ReleaseDevice.left_at.is_not(None),
        ~asks,
    )
    return _delete(
        session,
        ReleaseDevice,
        begun,
        or_(ReleaseDevice.release_id.in_(ended), and_(ReleaseDevice.release_id.in_(settled), is_done)),
    )


def _forget(session: Session, apps: Sequence[int]) -> list[int]:
    """Delete what is known of single devices of these apps. Their counts stay."""
    releases = select(Release.id).join(Release.version).where(Version.app_id.in_(apps))
    versions = select(Version.id).where(Version.app_id.in_(apps))
    checks = (
        select(UpdateCheck.id)
        .where(UpdateCheck.app_id.in_(apps), UpdateCheck.device_id.is_not(None))
        .limit(BATCH)
    )
    return [
        _execute(session, update(UpdateCheck).where(UpdateCheck.id.in_(checks)).values(device_id=None)),
        _delete(session, Device, Device.app_id.in_(apps)),
        _delete(session, Event, Event.app_id.in_(apps)),
        _delete(session, UpdateCompletion, UpdateCompletion.app_id.in_(apps)),
        _delete(session, FailureSignature, FailureSignature.version_id.in_(versions), ~_HAS_EVENTS),
        _delete(session, ReleaseDevice, ReleaseDevice.release_id.in_(releases)),
    ]


def _delete(session: Session, model: Any, *which: Any) -> int:
    key = tuple_(*model.__table__.primary_key)
    found = select(*model.__table__.primary_key).where(*which).limit(BATCH)
    return _execute(session, delete(model).where(key.in_(found)))


def _execute(session: Session, statement: Any) -> int:
    return cast(
        "CursorResult[Any]", session.execute(statement, execution_options={"synchronize_session": False})
    ).rowcount
