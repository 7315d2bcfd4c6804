"""The current numbers of active devices, of the versions they run, and of those left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ota.core.lifecycle import ReleaseState
from ota.devices.devices import ACTIVE_WITHIN
from ota.models import App, Device, Release, Version

_ENDED = (ReleaseState.ROLLED_BACK, ReleaseState.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A version that was rolled back or withdrawn (``how``), and how many active devices still run it."""

    version: Version
    devices: int
    how: str


def active(session: Session, app: App, *, now: datetime) -> Mapping[str, int]:
    """Return the number of the app's active devices by platform. Platforms without any are left out."""
    query = select(Device.platform, func.count()).where(
        Device.app_id == app.id, Device.last_seen_at > now - ACTIVE_WITHIN
    )
    return {row[0]: row[1] for row in session.execute(query.group_by(Device.platform))}


def running(session: Session, app: App, *, now: datetime) -> Mapping[tuple[str, int], int]:
    """Return the number of active devices that run each version, by platform and version code."""
    query = select(Device.platform, Device.version_code, func.count()).where(
        Device.app_id == app.id, Device.version_code.is_not(None), Device.last_seen_at > now - ACTIVE_WITHIN
    )
    rows = session.execute(query.group_by(Device.platform, Device.version_code))
    return {(platform, code): number for platform, code, number in rows if code is not None}


def left_behind(session: Session, version: Version, *, now: datetime) -> list[LeftBehind]:
    """Return the versions below this one that left devices behind, those with the most devices first."""
    query = select(Version).where(
        Version.app_id == version.app_id,
        Version.platform == version.platform,
        Version.version_code < version.version_code,
        Version.is_active.is_(False),
        Version.id.in_(select(Release.version_id).where(Release.state.in_(_ENDED))),
    )
    counts = running(session, version.app, now=now)
    found = [
        LeftBehind(each, counts.get((each.platform, each.version_code), 0), _how(each))
        for each in session.scalars(query)
    ]
    return sorted(
        (each for each in found if each.devices), key=lambda each: (-each.devices, -each.version.version_code)
    )


def _how(version: Version) -> str:
    ended = next((release for release in version.releases if release.state in _ENDED), None)
    return "rolled back" if ended is not None and ended.state == ReleaseState.ROLLED_BACK else "withdrawn"
