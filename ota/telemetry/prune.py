"""Delete old data about devices, and all of it for apps that keep none, in batches."""

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
"""Rows of one table deleted per transaction, at most: counting waits for it."""

_HAS_EVENTS = exists().where(Event.signature_id == FailureSignature.id)


def prune(session: Session, *, now: datetime) -> bool:
    """Delete old data, at most `BATCH` rows of each table. Return True while there is more to delete."""
    counting.forget_positions(session, now=now)
    old = now - REPORTS_KEPT
    deleted = [
        _delete(session, UpdateCheck, UpdateCheck.created_at < now - CHECKS_KEPT),
        _delete(session, UpdateCompletion, UpdateCompletion.completed_at < old),
        _delete(session, Event, Event.received_at < old),
        _delete(session, FailureSignature, FailureSignature.last_at < old, ~_HAS_EVENTS),
        _delete_journeys(session, old),
    ]
    keeping_none = session.scalars(select(App.id).where(App.keeps_devices.is_(False))).all()
    if keeping_none:
        deleted += _forget_devices(session, keeping_none)
    return max(deleted) >= BATCH


def _delete_journeys(session: Session, old: datetime) -> int:
    """Delete old journeys of ended releases, and completed ones of releases that have long been open to all.

    A device that is still offered a release keeps its journey: otherwise it would be counted as offered
    again.
    """
    begun = func.coalesce(ReleaseDevice.offered_at, ReleaseDevice.enrolled_at) < old
    ended = select(Release.id).where(Release.ended_at < old)
    no_longer_watched = select(Release.id).where(Release.starts_at < old, Release.rollout == FULL)
    still_checks = (
        exists(Device.id)
        .where(
            Device.device_hash == ReleaseDevice.device_id,
            Device.app_id == Version.app_id,
            Device.platform == Version.platform,
        )
        .where(Version.id == Release.version_id, Release.id == ReleaseDevice.release_id)
    )
    is_complete = or_(
        ReleaseDevice.is_control,
        ReleaseDevice.installed_at.is_not(None),
        ReleaseDevice.left_at.is_not(None),
        ~still_checks,
    )
    is_useless = or_(
        ReleaseDevice.release_id.in_(ended),
        and_(ReleaseDevice.release_id.in_(no_longer_watched), is_complete),
    )
    return _delete(session, ReleaseDevice, begun, is_useless)


def _forget_devices(session: Session, apps: Sequence[int]) -> list[int]:
    """Delete everything about single devices of these apps. Their counts stay."""
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
    """Run a statement without touching loaded objects. Return the number of rows that it changed."""
    return cast(
        "CursorResult[Any]", session.execute(statement, execution_options={"synchronize_session": False})
    ).rowcount
