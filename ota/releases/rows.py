"""Rows of releases: queries, and the functions that insert and change them and record it in the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, selectinload

from ota import catalogs
from ota.builds import versions
from ota.core.decision import latest_for_everybody
from ota.core.lifecycle import LIVE_STATES, ReleaseState
from ota.core.rollout import FULL
from ota.db import MAX_ID, compare_and_set
from ota.devices import groups as device_groups
from ota.errors import Conflict, NotFound, OtaError, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Channel, Release, Version
from ota.telemetry import journeys

_WITH = (joinedload(Release.version), joinedload(Release.channel), selectinload(Release.groups))


def get(session: Session, release_id: int, *, app: App | None = None) -> Release:
    """Return a release. Raises `NotFound`, also when it belongs to an app other than the given one."""
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
    """Return the app's releases, the newest release first."""
    query = select(Release).join(Release.version).where(Version.app_id == app.id).options(*_WITH)
    if channel is not None:
        query = query.where(Release.channel_id == channel.id)
    if platform is not None:
        query = query.where(Release.platform == platform)
    if only_live:
        query = query.where(Release.state.in_(LIVE_STATES))
    return session.scalars(query.order_by(Release.id.desc()).limit(limit).offset(offset)).all()


def live(session: Session, app: App) -> Sequence[Release]:
    """Return the app's live releases by platform and channel, the newest version first."""
    query = (
        select(Release)
        .join(Release.version)
        .where(Version.app_id == app.id, Release.state.in_(LIVE_STATES))
        .options(*_WITH)
        .order_by(Release.platform, Release.channel_id, Version.version_code.desc(), Release.id.desc())
    )
    return session.scalars(query).all()


def live_on(session: Session, version: Version, channel: Channel) -> Release | None:
    """Return the live release of a version on a channel. Arms of experiments do not count."""
    query = select(Release).where(
        Release.version_id == version.id,
        Release.channel_id == channel.id,
        Release.state.in_(LIVE_STATES),
        Release.experiment_id.is_(None),
    )
    return session.scalar(query)


def offered(session: Session, app: App, *, now: datetime) -> Sequence[Release]:
    """Return the live releases that some device of their own channel can be offered, now or later.

    On each channel of each platform these are the newest releases, down to the first that is open to all
    devices. Releases below that one are superseded, unless they are floors.
    """
    reachable: list[Release] = []
    closed: set[tuple[str, int]] = set()
    for release in live(session, app):
        stream = (release.platform, release.channel_id)
        if stream not in closed or release.is_floor:
            reachable.append(release)
        if is_open_to_all(release, now=now) and release.experiment_id is None:
            closed.add(stream)
    return reachable


def offered_instead(
    session: Session, version: Version, channel: Channel, *, now: datetime
) -> Sequence[Release]:
    """Return the started releases of other versions that the channel offers on the version's platform."""
    return [
        release
        for release in offered(session, version.app, now=now)
        if release.platform == version.platform
        and release.channel_id == channel.id
        and release.version_id != version.id
        and release.starts_at <= now
    ]


def is_open_to_all(release: Release, *, now: datetime) -> bool:
    """Is every device of the channel in the rollout of this release, and has it started?"""
    return release.state == ReleaseState.ACTIVE and release.rollout == FULL and release.starts_at <= now


def successor(session: Session, release: Release, *, now: datetime) -> Version | None:
    """Return the version that is offered to all devices once this release has ended; None without one."""
    catalog = catalogs.load(session, release.channel_id, release.platform, without_version=release.version_id)
    candidate = latest_for_everybody(catalog, now)
    return session.get(Version, candidate.version_id) if candidate else None


def successors(session: Session, version: Version, *, now: datetime) -> list[tuple[str, Version | None]]:
    """Return the `successor` of each live release of a version, with the name of its channel."""
    return [
        (release.channel.name, successor(session, release, now=now))
        for release in version.releases
        if release.is_live
    ]


def promotable_to(session: Session, release: Release) -> list[Channel]:
    """Return the channels to which this release can be promoted."""
    if not release.is_live or release.experiment_id is not None:
        return []
    return [
        channel
        for channel in release.version.app.channels
        if live_on(session, release.version, channel) is None
    ]


def insert(
    session: Session,
    actor: Actor,
    release: Release,
    version: Version,
    channel: Channel,
    groups: tuple[str, ...] = (),
    *,
    now: datetime,
    **details: Any,
) -> Release:
    """Insert a release. ``groups`` are names of device groups; ``details`` go into the history entry.

    Raises `Conflict` when the version was released on the channel at the same moment.
    """
    release.created_at, release.created_by = now, actor.label
    release.groups = device_groups.named(session, version.app, groups)
    try:
        with session.begin_nested():
            session.add(release)
    except IntegrityError:
        raise Conflict(
            "already_released",
            "Somebody else published this version at the same moment.",
            current=versions.summary(version),
        ) from None
    catalogs.touch(session, version.app_id)
    started = {
        "version": version.version,
        "channel": channel.name,
        **_terms_for_history(release, groups, now),
        **details,
        "revision": 1,
    }
    _record(session, actor, "started", release.id, version.app_id, after=started, now=now)
    return release


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
    **details: Any,
) -> None:
    """Change a release's row by compare-and-set on ``revision``, by default the one that was read.

    ``expected`` names more columns that must still have these values; ``details`` go into the history entry.
    Devices that a larger rollout lets in leave the control group. Raises `Stale` with the present state when
    the row has changed.
    """
    release_id, version = release.id, release.version
    app_id, name, bucket_from = version.app_id, version.version, release.bucket_from
    seen = release.revision if revision is None else revision
    before = {column: getattr(release, column) for column in values}
    catalogs.touch(session, app_id)
    derived = full_since(values, release.starts_at, before=release.full_since, now=now)
    written = {**values, **derived, "revision": seen + 1}
    wanted = {**(expected or {}), "revision": seen}
    if not compare_and_set(session, Release, {"id": release_id}, wanted, written):
        raise stale(release)
    if "rollout" in values:
        journeys.remove_drawn_from_control(session, release_id, bucket_from, values["rollout"], now=now)
    changed = {column: json_value(value) for column, value in values.items() if before[column] != value}
    before = {column: json_value(before[column]) for column in changed}
    after = {"version": name, **changed, **details, "revision": seen + 1}
    _record(session, actor, action, release_id, app_id, before=before, after=after, now=now)


def full_since(
    values: Mapping[str, Any], starts_at: datetime, *, before: datetime | None = None, now: datetime
) -> dict[str, Any]:
    """Return the new value of the column ``full_since`` if ``values`` change it, else nothing.

    The column is the time since which a release is open to all devices; ``before`` is its present value.
    """
    starts_at = values.get("starts_at", starts_at)
    if values.get("rollout", FULL if before else 0) < FULL:
        return {"full_since": None} if "rollout" in values else {}
    return {"full_since": max(before if before is not None and before <= now else now, starts_at)}


def check_revision(release: Release, revision: int | None) -> None:
    """Raise `Stale` for an old ``revision``.

    Called before anybody is asked to approve an act that could no longer be done.
    """
    if revision is not None and revision != release.revision:
        raise stale(release)


def stale(release: Release) -> OtaError:
    """Return the error for a change that is based on an old revision, with the present state."""
    return Stale(
        f"Somebody else changed this release meanwhile: it is now {state_text(release.state)}, "
        f"open to {release.rollout / 100:g} %. Look at it, then decide again.",
        current=summary(release),
    )


def summary(release: Release) -> dict[str, Any]:
    """Return the present state in a few fields, for a conflict's ``current``."""
    return {
        "id": release.id,
        "version_id": release.version_id,
        "channel": release.channel.name,
        "state": release.state,
        "rollout": release.rollout,
        "revision": release.revision,
    }


def state_text(state: str) -> str:
    """Return a release's state as a sentence contains it: ``rolled back``."""
    return state.replace("_", " ")


def json_value(value: Any) -> Any:
    """Return a column's value as JSON stores it."""
    return value.isoformat() if isinstance(value, datetime) else value


def _terms_for_history(release: Release, groups: tuple[str, ...], now: datetime) -> dict[str, Any]:
    """Return the rollout, and the terms that are set."""
    optional = {
        column: json_value(getattr(release, column))
        for column in ("plan", "mandatory_from", "critical_from", "critical_below")
        if getattr(release, column) is not None
    }
    return {
        "rollout": release.rollout,
        **({"starts_at": json_value(release.starts_at)} if release.starts_at > now else {}),
        **optional,
        **({"groups": list(groups)} if groups else {}),
        **({"is_floor": True} if release.is_floor else {}),
    }


def _record(
    session: Session, actor: Actor, action: str, release_id: int, app_id: int, *, now: datetime, **values: Any
) -> None:
    audit.record(
        session, actor, f"release.{action}", ("release", release_id), now=now, app_id=app_id, **values
    )
