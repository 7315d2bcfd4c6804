"""Downloads: find the file of a download address, and decide whether it is open."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.apps import apps
from ota.builds import versions
from ota.core.lifecycle import LIVE_STATES
from ota.core.platforms import Platform
from ota.errors import Gone, NotFound, OtaError
from ota.models import Release, Version


def find(
    session: Session, *, app_slug: str, platform: str, version_code: int, file_name: str, now: datetime
) -> Version:
    """Return the active version with this address on this server, if one of its releases has started.

    Raises `Gone` for a version that was published and taken back, `NotFound` for all other addresses: another
    app's file, a version that was never published, an external file.
    """
    version = _at(session, app_slug, platform, version_code)
    if version is None or not version.is_hosted_here or version.download_url.rpartition("/")[2] != file_name:
        raise _unknown()
    if version.is_active:
        if _has_started(session, version, now):
            return version
    elif version.published_at is not None:
        raise Gone(
            "withdrawn",
            f"Version {version.version} was withdrawn. Check for updates again to get the right one.",
        )
    raise _unknown()


def _at(session: Session, app_slug: str, platform: str, version_code: int) -> Version | None:
    if platform not in set(Platform):
        return None
    try:
        app = apps.find(session, app_slug)
    except NotFound:
        return None
    return versions.find_by_code(session, app, Platform(platform), version_code)


def _has_started(session: Session, version: Version, now: datetime) -> bool:
    query = select(Release.id).where(
        Release.version_id == version.id, Release.state.in_(LIVE_STATES), Release.starts_at <= now
    )
    return session.scalar(query.limit(1)) is not None


def _unknown() -> OtaError:
    return NotFound(
        "unknown_download", "There is no such file here. Check for updates again to get the present address."
    )
