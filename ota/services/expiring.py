"""Provisioning profiles that come to their end while a release of the build stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.core.alerts import expiry_warning
from ota.core.lifecycle import LIVE_STATES
from ota.core.platforms import Platform
from ota.models import AuditEvent, Release, Version
from ota.services import audit, builds
from ota.services.audit import SYSTEM

ACTION = "version.profile_expiring"


def candidates(session: Session) -> Sequence[int]:
    """The ids of the iOS versions that are offered and whose file was read."""
    stands = select(Release.version_id).where(Release.state.in_(LIVE_STATES))
    query = select(Version.id).where(Version.platform == Platform.IOS, Version.artifact_id.is_not(None), Version.id.in_(stands))
    return session.scalars(query.order_by(Version.id)).all()


def warn(session: Session, version_id: int, *, now: datetime) -> bool:
    """Note, once for each threshold, that the version's profile is about to expire: people are told of it. True when it was new."""
    # Locked, so that of two workers the second one sees the first one's note.
    version = session.scalar(select(Version).where(Version.id == version_id).with_for_update())
    if version is None:
        return False
    ends = builds.build_of(version).profile_expires_at
    days = None if ends is None else expiry_warning(ends - now)
    if ends is None or days is None:
        return False
    for note in _notes(session, version_id):
        if (note.after or {}).get("within_days", 0) <= days:
            return False
    after = {"version": version.version, "expires_at": ends.isoformat(), "within_days": days}
    audit.record(session, SYSTEM, ACTION, ("version", version_id), now=now, app_id=version.app_id, after=after)
    return True


def _notes(session: Session, version_id: int) -> Sequence[AuditEvent]:
    query = select(AuditEvent).where(AuditEvent.subject_type == "version", AuditEvent.subject_id == str(version_id))
    return session.scalars(query.where(AuditEvent.action == ACTION)).all()
