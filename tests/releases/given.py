"""Versions and releases made by the services, for tests of the release engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from ota import catalogs
from ota.apps import apps
from ota.builds import versions
from ota.builds.versions import VersionDraft
from ota.core.permissions import Role
from ota.core.platforms import Platform
from ota.db import reader, transaction
from ota.history.audit import SYSTEM, Actor
from ota.models import Channel, Release, User, Version
from ota.releases import acts as release_acts
from ota.releases import rows as release_rows
from ota.releases.terms import Terms

START = datetime(2026, 5, 4, 9, tzinfo=UTC)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def person(email: str) -> Actor:
    """One of the cast."""
    user = reader().scalar(select(User).where(User.email == email))
    assert user is not None
    return Actor(label=email, role=Role(user.role), user_id=user.id)


def make(code: int, name: str | None = None, platform: Platform = Platform.ANDROID, **fields: Any) -> int:
    """A version whose file lives elsewhere; answers its id."""
    draft = VersionDraft(
        platform=platform,
        version=name or f"1.{code}.0",
        version_code=code,
        download_url=f"https://files.example.com/{code}.apk",
        checksum=f"{code:064x}",
        **fields,
    )
    with transaction() as session:
        return versions.add(session, SYSTEM, apps.find(session, None), draft, artifact=None, now=START).id


def begin(
    version_id: int,
    *,
    actor: Actor = SYSTEM,
    channel: str | None = None,
    rollout: int | None = None,
    at: datetime = START,
    **terms: Any,
) -> int:
    """Start a release; answers its id."""
    with transaction() as session:
        version = session.get_one(Version, version_id)
        return release_acts.start(
            session, actor, version, channel=channel, rollout=rollout, terms=Terms(**terms), now=at
        ).id


def channel(name: str, *, falls_back_to: str | None = None, approval_above: int | None = None) -> int:
    """Another channel of the app, or the default one changed."""
    with transaction() as session:
        app = apps.find(session, None)
        row = next((each for each in app.channels if each.name == name), None)
        if row is None:
            row = Channel(app_id=app.id, name=name, created_at=START)
            session.add(row)
        row.approval_above = approval_above
        if falls_back_to:
            row.falls_back_to = [apps.find_channel(app, falls_back_to)]
        session.flush()
        catalogs.touch(session, app.id)
        return row.id


def look(release_id: int) -> Release:
    """The release as it is now."""
    reader().rollback()
    return release_rows.get(reader(), release_id)
