"""Provisioning profiles that come to their end while a build with them is still offered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota import catalogs
from ota.builds import facts as build_facts
from ota.core.alerts import expiry_warning
from ota.core.lifecycle import LIVE_STATES
from ota.core.platforms import Platform
from ota.history import audit
from ota.history.audit import SYSTEM
from ota.models import App, AuditEvent, Channel, Release, Version

ACTION = "version.profile_expiring"


def candidates(session: Session) -> Sequence[int]:
    """The ids of the apps with a release for iOS."""
    query = select(Version.app_id).join(Release, Release.version_id == Version.id)
    return session.scalars(
        query.where(Release.platform == Platform.IOS, Release.state.in_(LIVE_STATES)).distinct()
    ).all()


def warn(session: Session, app_id: int, *, now: datetime) -> int:
    """Note that profiles of versions that devices are still offered are about to expire; answers how many profiles were told.

    Versions with the same end are told together, once for each threshold.
    """
    # Locked, so that of two workers the second one sees the first one's notes. Nobody who only tells about the app waits for it.
    session.scalar(select(App.id).where(App.id == app_id).with_for_update(key_share=True))
    told = 0
    for ends, versions in sorted(_by_end(session, app_id, now).items()):
        days = expiry_warning(ends - now)
        if days is None or _is_told(session, app_id, ends, days):
            continue
        names = [f"{version.version} (+{version.version_code})" for version in versions]
        after = {
            "version": ", ".join(names),
            "versions": names,
            "expires_at": ends.isoformat(),
            "within_days": days,
        }
        audit.record(
            session, SYSTEM, ACTION, ("version", versions[-1].id), now=now, app_id=app_id, after=after
        )
        told += 1
    return told


def _by_end(session: Session, app_id: int, now: datetime) -> Mapping[datetime, Sequence[Version]]:
    """The versions that some device may still be offered, the lowest code first, by the end of their profile."""
    channels = session.scalars(select(Channel.id).where(Channel.app_id == app_id)).all()
    offered = {
        candidate.version_id
        for channel_id in channels
        for candidate in catalogs.load(session, channel_id, Platform.IOS, at=now).candidates
    }
    found: dict[datetime, list[Version]] = defaultdict(list)
    for version in session.scalars(
        select(Version).where(Version.id.in_(offered)).order_by(Version.version_code)
    ):
        ends = build_facts.build_of(version).profile_expires_at
        if ends is not None:
            found[ends].append(version)
    return found


def _is_told(session: Session, app_id: int, ends: datetime, days: int) -> bool:
    notes = session.scalars(
        select(AuditEvent.after).where(AuditEvent.app_id == app_id, AuditEvent.action == ACTION)
    )
    return any(
        note["within_days"] <= days for note in notes if note and note["expires_at"] == ends.isoformat()
    )
