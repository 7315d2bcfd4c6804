"""Changelogs: the release notes between a device's version and the newest one open to all devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota import catalogs
from ota.apps import apps
from ota.core.catalog import Candidate
from ota.core.decision import latest_for_everybody
from ota.core.versions import CurrentVersion, compare_to_device, parse_current_version
from ota.errors import Invalid
from ota.models import Version

DEFAULT_LIMIT = 20
"""Versions in a changelog for a device that reports no version."""

MAX_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Changelog:
    """``versions`` newest first. ``latest`` is the newest version open to all devices, if there is one."""

    latest: str | None
    versions: Sequence[Version]


def changelog(
    session: Session,
    *,
    app: str | None,
    platform: str,
    channel: str | None,
    since: str | None = None,
    limit: int | None = None,
    now: datetime,
) -> Changelog:
    """Return the versions above ``since`` that are open to all devices, superseded ones included.

    Raises `Invalid` for a malformed ``since`` or platform, `NotFound` for an unknown app or channel.
    """
    on = apps.find_platform(platform)
    device = _parsed(since) if since else None
    stream = apps.find_channel(apps.find(session, app), channel)
    catalog = catalogs.load(session, stream.id, on)
    latest = latest_for_everybody(catalog, now)
    if latest is None:
        return Changelog(None, ())
    shown = [
        each
        for each in catalog.candidates
        if each.is_open_to_all and each.has_started(now) and _is_newer(each, device)
    ]
    default = DEFAULT_LIMIT if device is None else MAX_LIMIT
    return Changelog(latest.version, _versions(session, shown, min(limit or default, MAX_LIMIT)))


def _parsed(since: str) -> CurrentVersion:
    try:
        return parse_current_version(since)
    except ValueError as error:
        raise Invalid.about("since", "bad_since", f"{error}") from error


def _is_newer(candidate: Candidate, device: CurrentVersion | None) -> bool:
    return device is None or compare_to_device(candidate.version_code, candidate.version, device) > 0


def _versions(session: Session, candidates: Sequence[Candidate], limit: int) -> Sequence[Version]:
    wanted = list(dict.fromkeys(candidate.version_id for candidate in candidates))[:limit]
    query = select(Version).where(Version.id.in_(wanted)).order_by(Version.version_code.desc())
    return session.scalars(query).all()
