"""The rows of releases: looking them up, changing them one revision at a time, and the history of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from ota import catalogs
from ota.core.decision import latest_for_everybody
from ota.core.lifecycle import LIVE_STATES, ReleaseState
from ota.core.rollout import FULL
from ota.db import MAX_ID, compare_and_set
from ota.errors import NotFound, OtaError, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Channel, Release, Version
from ota.telemetry import journeys

_WITH = (joinedload(Release.version), joinedload(Release.channel), selectinload(Release.groups))


def get(session: Session, release_id: int, *, app: App | None = None) -> Release:
    """Raises `NotFound`, also when the release belongs to another app than the given one."""
    query = select(Release).where(Release.id == release_id).options(*_WITH)
    release = session.scalar(query) if release_id <= MAX_ID else None
    if release is None or (app is not None and release.version.app_id != app.id):
        raise NotFound("unknown_release", f"There is no release with the id {release_id}.")
    return release


def listed(
    session: Session,
    app: App,
    *,
    channel: Channel | None = None,
    platform: str | None = None,
    only_live: bool = False,
    limit: int = 50,
    offset: int = 0,
) -> Sequence[Release]:
    """The app's releases, the one started last first."""
    query = select(Release).join(Release.version).where(Version.app_id == app.id).options(*_WITH)
    if channel is not None:
        query = query.where(Release.channel_id == channel.id)
    if platform is not None:
        query = query.where(Release.platform == platform)
    if only_live:
        query = query.where(Release.state.in_(LIVE_STATES))
    return session.scalars(query.order_by(Release.id.desc()).limit(limit).offset(offset)).all()


def live(session: Session, app: App) -> Sequence[Release]:
    """The releases that stand, newest version first."""
    query = (
        select(Release)
        .join(Release.version)
        .where(Version.app_id == app.id, Release.state.in_(LIVE_STATES))
        .options(*_WITH)
        .order_by(Release.platform, Release.channel_id, Version.version_code.desc(), Release.id.desc())
    )
    return session.scalars(query).all()


def offered(session: Session, app: App, *, now: datetime) -> Sequence[Release]:
    """Of the releases that stand, those that some device can still be offered on their own channel, and those yet to start.

    On each channel of each platform the newest ones, down to the first that is open to everybody; what lies below it
    is superseded.
    """
    reached: list[Release] = []
    closed: set[tuple[str, int]] = set()
    for release in live(session, app):
        stream = (release.platform, release.channel_id)
        if stream not in closed or release.is_floor:
            reached.append(release)
        has_started = release.starts_at <= now and release.experiment_id is None
        if release.state == ReleaseState.ACTIVE and release.rollout == FULL and has_started:
            closed.add(stream)
    return reached


def successor(session: Session, release: Release, *, now: datetime) -> Version | None:
    """What everybody will be offered once this release is out of the answers; None when nothing is left."""
    catalog = catalogs.load(session, release.channel_id, release.platform, without_version=release.version_id)
    candidate = latest_for_everybody(catalog, now)
    return session.get(Version, candidate.version_id) if candidate else None


def standing(session: Session, version: Version, channel: Channel) -> Release | None:
    """The release with which a version stands on a channel, arms of experiments aside."""
    query = select(Release).where(
        Release.version_id == version.id,
        Release.channel_id == channel.id,
        Release.state.in_(LIVE_STATES),
        Release.experiment_id.is_(None),
    )
    return session.scalar(query)


def change(
    session: Session,
    actor: Actor,
    release: Release,
    action: str,
    values: Mapping[str, Any],
    *,
    revision: int | None,
    now: datetime,
    expected: Mapping[str, Any] | None = None,
    **more: Any,
) -> None:
    """The one way to change a release's row: compare-and-set on the revision that the caller saw, with its line in the history.

    ``expected`` names more columns that must still be as they were seen; ``more`` goes into the line. Who is let in by a larger rollout
    leaves the control at once. Raises `Conflict` (``stale_revision``) with the present state when somebody was faster.
    """
    release_id, app_id, name = release.id, release.version.app_id, release.version.version
    seen = release.revision if revision is None else revision
    before = {column: getattr(release, column) for column in values}
    catalogs.touch(session, app_id)
    wanted = {**(expected or {}), "revision": seen}
    written = {
        **values,
        **full_since(values, release.starts_at, before=release.full_since, now=now),
        "revision": seen + 1,
    }
    bucket_from = release.bucket_from
    if not compare_and_set(session, Release, {"id": release_id}, wanted, written):
        raise stale(release)
    if "rollout" in values:
        journeys.remove_drawn_from_control(session, release_id, bucket_from, values["rollout"], now=now)
    changed = {column: value for column, value in values.items() if before[column] != value}
    audit.record(
        session,
        actor,
        f"release.{action}",
        ("release", release_id),
        now=now,
        app_id=app_id,
        before={column: plain(before[column]) for column in changed},
        after={
            "version": name,
            **{column: plain(value) for column, value in changed.items()},
            **more,
            "revision": seen + 1,
        },
    )


def full_since(
    values: Mapping[str, Any], starts_at: datetime, *, before: datetime | None = None, now: datetime
) -> dict[str, Any]:
    """Since when a release is open to everybody, if these values say something about that."""
    starts_at = values.get("starts_at", starts_at)
    if values.get("rollout", FULL if before else 0) < FULL:
        return {"full_since": None} if "rollout" in values else {}
    return {"full_since": max(before if before is not None and before <= now else now, starts_at)}


def check_seen(release: Release, revision: int | None) -> None:
    """Raises as `change` for a ``revision`` of before, where somebody else would be asked first: nobody approves what can't be done."""
    if revision is not None and revision != release.revision:
        raise stale(release)


def stale(release: Release) -> OtaError:
    """The error that says that somebody was faster, with what is there now."""
    return Stale(
        f"Somebody else changed this release meanwhile: it is now {words(release.state)}, open to {release.rollout / 100:g} %. "
        "Look at it, then decide again.",
        current=summary(release),
    )


def summary(release: Release) -> dict[str, Any]:
    """The present state in a few fields, for a conflict's ``current``."""
    return {
        "id": release.id,
        "version_id": release.version_id,
        "channel": release.channel.name,
        "state": release.state,
        "rollout": release.rollout,
        "revision": release.revision,
    }


def words(state: str) -> str:
    """A release's state as it stands in a sentence."""
    return state.replace("_", " ")


def plain(value: Any) -> Any:
    """A column's value as JSON keeps it."""
    return value.isoformat() if isinstance(value, datetime) else value
