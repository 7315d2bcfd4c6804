"""What is new: the notes of the versions between what a device runs and what everybody is offered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota import catalogs
from ota.apps import apps
from ota.core.decision import latest_for_everybody
from ota.core.versions import compare_to_device, parse_current_version
from ota.errors import Invalid
from ota.models import Version

FEW = 20
"""So many versions for whoever says nothing of their own."""

MOST = 100


@dataclass(frozen=True, slots=True)
class Changelog:
    """``versions`` newest first. ``latest`` is the newest one that is open to everybody; None when there is none."""

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
    """The versions above ``since`` that are open to everybody on the channel, also those that a newer one has superseded.

    Raises `Invalid` for a ``since`` that is no version, `NotFound` for an unknown app or channel.
    """
    on = apps.find_platform(platform)
    try:
        device = parse_current_version(since) if since else None
    except ValueError as error:
        raise Invalid.about("since", "bad_since", f"{error}") from error
    stream = apps.find_channel(apps.find(session, app), channel)
    catalog = catalogs.load(session, stream.id, on)
    latest = latest_for_everybody(catalog, now)
    if latest is None:
        return Changelog(None, ())
    open_to_all = [c for c in catalog.candidates if c.is_open_to_all and c.has_started(now)]
    if device is not None:
        open_to_all = [c for c in open_to_all if compare_to_device(c.version_code, c.version, device) > 0]
    most = min(limit or (FEW if device is None else MOST), MOST)
    wanted = list(dict.fromkeys(candidate.version_id for candidate in open_to_all))[:most]
    found = session.scalars(
        select(Version).where(Version.id.in_(wanted)).order_by(Version.version_code.desc())
    ).all()
    return Changelog(latest.version, found)
