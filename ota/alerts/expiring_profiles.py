"""The alert ``profile.expiring``: a provisioning profile ends soon while devices are still offered its build.

Once a day `ota.tasks.warn_expiring` calls `warn` for each app. `EXPIRY_WARNINGS` (3 and 14 days) decides when
an alert is due. `warn` records the act `ACTION`; `ota.core.alerts.OF_ACTION` maps it to
`AlertKind.PROFILE_EXPIRING`; and `ota.history.outbox` writes its text and a delivery for each receiver that
chose the kind.
"""

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
"""Act in the history. It is both the alert's trigger and the note that the alert went out."""


def candidates(session: Session) -> Sequence[int]:
    """Return the ids of apps with a live release for iOS."""
    query = select(Version.app_id).join(Release, Release.version_id == Version.id)
    return session.scalars(
        query.where(Release.platform == Platform.IOS, Release.state.in_(LIVE_STATES)).distinct()
    ).all()


def warn(session: Session, app_id: int, *, now: datetime) -> int:
    """Record an act for each profile that expires soon and whose versions devices can still be offered.

    Versions whose profiles end at the same time share one alert for each threshold. Returns the number of
    alerts.
    """
    # Locked, so that the second of two workers sees the acts of the first. Other acts on the app do not wait
    # for it.
    session.scalar(select(App.id).where(App.id == app_id).with_for_update(key_share=True))
    warned = 0
    for ends, versions in sorted(_by_end(session, app_id, now).items()):
        days = expiry_warning(ends - now)
        if days is None or _has_warned(session, app_id, ends, days):
            continue
        _record(session, app_id, versions, ends, days, now)
        warned += 1
    return warned


def _record(
    session: Session, app_id: int, versions: Sequence[Version], ends: datetime, days: int, now: datetime
) -> None:
    names = [f"{version.version} (+{version.version_code})" for version in versions]
    after = {
        "version": ", ".join(names),
        "versions": names,
        "expires_at": ends.isoformat(),
        "within_days": days,
    }
    subject = ("version", versions[-1].id)
    audit.record(session, SYSTEM, ACTION, subject, now=now, app_id=app_id, after=after)


def _by_end(session: Session, app_id: int, now: datetime) -> Mapping[datetime, Sequence[Version]]:
    """Return the versions that devices can be offered, lowest code first, by the end of their profile."""
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


def _has_warned(session: Session, app_id: int, ends: datetime, days: int) -> bool:
    """Return whether an alert for this end, at this threshold or a nearer one, is in the history."""
    acts = session.scalars(
        select(AuditEvent.after).where(AuditEvent.app_id == app_id, AuditEvent.action == ACTION)
    )
    return any(act["within_days"] <= days for act in acts if act and act["expires_at"] == ends.isoformat())
