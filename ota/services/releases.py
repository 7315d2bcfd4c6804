"""Releases: offering a version, and the verbs that stop it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from ota.core.decision import latest_for_everybody
from ota.core.lifecycle import LIVE_STATES, ReleaseState, may_move_release
from ota.core.rollout import FULL
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, Invalid, NotFound, OtaError
from ota.models import App, Channel, Release, Version
from ota.services import apps, audit, catalogs, preflight, versions
from ota.services.audit import Actor

_VERBS = {
    ReleaseState.ACTIVE: "resumed",
    ReleaseState.PAUSED: "paused",
    ReleaseState.HALTED: "halted",
    ReleaseState.ROLLED_BACK: "rolled_back",
    ReleaseState.WITHDRAWN: "withdrawn",
}

_STILL_DEMANDED = frozenset({"file", "profile", "debuggable", "package_id", "signature"})
"""Checks that can go bad while a release stands."""


def start(
    session: Session,
    actor: Actor,
    version: Version,
    *,
    channel: str | None = None,
    rollout: int = FULL,
    revision: int | None = None,
    now: datetime,
) -> Release:
    """Offer a version on a channel, to so many basis points of its devices.

    ``revision`` is the version's, as the publisher saw it. Raises `Conflict` when somebody was faster, the version already
    stands on the channel, or the preflight blocks it; `Invalid` for a version that must not be published.
    """
    target = apps.find_channel(version.app, channel)
    _check_publishable(version, rollout)
    standing = _standing(session, version, target)
    if standing is not None:
        session.refresh(version)  # Whoever was faster has changed it since it was read.
        raise _already_released(standing)
    values: dict[str, Any] = {"is_active": True, "withdrawn_at": None}
    if version.published_at is None:
        values["published_at"] = now
    preflight.demand(session, version, target, now=now)
    versions.advance(session, version, revision, values)
    preflight.pin_signer(session, actor, version, now=now)
    release = _add(session, actor, version, target, rollout, now=now)
    after = {"version": version.version, "channel": target.name, "rollout": rollout}
    audit.record(session, actor, "release.started", ("release", release.id), now=now, app_id=version.app_id, after=after)
    return release


def withdraw_version(session: Session, actor: Actor, version: Version, *, revision: int | None = None, now: datetime) -> Version:
    """The seed's deactivate: take a version out of all answers; its download answers 410."""
    if not version.is_active:
        raise Conflict(
            "not_active", f"Version {version.version} is not active, so there is nothing to withdraw.", current=versions.summary(version)
        )
    versions.advance(session, version, revision, {"is_active": False, "withdrawn_at": now})
    for release in version.releases:
        if release.is_live:
            _end(session, actor, release, ReleaseState.WITHDRAWN, revision=release.revision, now=now)
    after = {"version": version.version}
    audit.record(session, actor, "version.withdrawn", ("version", version.id), now=now, app_id=version.app_id, after=after)
    return version


def change_state(
    session: Session, actor: Actor, release: Release, new: ReleaseState, *, revision: int | None = None, now: datetime
) -> Release:
    """Pause, halt, resume, roll back or withdraw one release.

    A version whose last release has gone is no longer active. Raises `Conflict` with the present state when the move
    isn't possible or somebody was faster.
    """
    old, seen = ReleaseState(release.state), release.revision if revision is None else revision
    if not may_move_release(old, new):
        raise Conflict("wrong_state", f"The release is {_words(old)}, so it can't be {_words_of_verb(new)}.", current=summary(release))
    if new in LIVE_STATES:
        if new is ReleaseState.ACTIVE:
            preflight.demand(session, release.version, release.channel, now=now, only=_STILL_DEMANDED)
        _set(session, release, seen, {"state": new})
        verb = _VERBS[new]
        audit.record(
            session, actor, f"release.{verb}", ("release", release.id), now=now, app_id=release.version.app_id,
            before={"state": old}, after={"version": release.version.version, "state": new},
        )  # fmt: skip
        return release
    version = release.version
    stays = any(other.is_live and other.id != release.id for other in version.releases)
    values: dict[str, Any] = {"is_active": stays}
    if new is ReleaseState.WITHDRAWN and not stays:
        values["withdrawn_at"] = now
    versions.advance(session, version, None, values)
    _end(session, actor, release, new, revision=seen, now=now)
    return release


def set_rollout(session: Session, actor: Actor, release: Release, rollout: int, *, revision: int | None = None, now: datetime) -> Release:
    """Open the release to more devices or fewer. Devices that already updated keep what they have."""
    if not release.is_live:
        raise Conflict(
            "wrong_state", f"The release is {_words(ReleaseState(release.state))}; its rollout no longer matters.", current=summary(release)
        )
    before, seen = release.rollout, release.revision if revision is None else revision
    if rollout > before:
        preflight.demand(session, release.version, release.channel, now=now, only=_STILL_DEMANDED)
    _set(session, release, seen, {"rollout": _checked_rollout(rollout)})
    audit.record(
        session, actor, "release.rollout_changed", ("release", release.id), now=now, app_id=release.version.app_id,
        before={"rollout": before}, after={"version": release.version.version, "rollout": rollout},
    )  # fmt: skip
    return release


def successor(session: Session, release: Release, *, now: datetime) -> Version | None:
    """What everybody will be offered once this release is out of the answers; None when nothing is left."""
    catalog = catalogs.load(session, release.channel_id, release.platform, without_version=release.version_id)
    candidate = latest_for_everybody(catalog, now)
    return session.get(Version, candidate.version_id) if candidate else None


def get(session: Session, release_id: int) -> Release:
    """Raises `NotFound`."""
    query = select(Release).where(Release.id == release_id).options(joinedload(Release.version), joinedload(Release.channel))
    release = session.scalar(query) if release_id <= MAX_ID else None
    if release is None:
        raise NotFound("unknown_release", f"There is no release with the id {release_id}.")
    return release


def live(session: Session, app: App) -> Sequence[Release]:
    """The releases that stand, newest version first."""
    query = (
        select(Release)
        .join(Release.version)
        .where(Version.app_id == app.id, Release.state.in_(LIVE_STATES))
        .options(joinedload(Release.version), joinedload(Release.channel))
        .order_by(Release.platform, Release.channel_id, Version.version_code.desc())
    )
    return session.scalars(query).all()


def offered(session: Session, app: App) -> Sequence[Release]:
    """Of the releases that stand, those that some device can still be offered.

    On each channel of each platform the newest ones, down to the first that is open to everybody; what lies below it
    is superseded.
    """
    reached: list[Release] = []
    closed: set[tuple[str, int]] = set()
    for release in live(session, app):
        stream = (release.platform, release.channel_id)
        if stream not in closed:
            reached.append(release)
            if release.state == ReleaseState.ACTIVE and release.rollout == FULL:
                closed.add(stream)
    return reached


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


def _add(session: Session, actor: Actor, version: Version, channel: Channel, rollout: int, *, now: datetime) -> Release:
    release = Release(
        channel_id=channel.id, version_id=version.id, platform=version.platform, state=ReleaseState.ACTIVE, rollout=rollout,
        salt=secrets.token_hex(16), starts_at=now, created_at=now, created_by=actor.label,
    )  # fmt: skip
    try:
        with session.begin_nested():
            session.add(release)
    except IntegrityError:
        raise Conflict(
            "already_released", "Somebody else published this version at the same moment.", current=versions.summary(version)
        ) from None
    return release


def _end(session: Session, actor: Actor, release: Release, new: ReleaseState, *, revision: int, now: datetime) -> None:
    old = release.state
    _set(session, release, revision, {"state": new, "ended_at": now})
    audit.record(
        session, actor, f"release.{_VERBS[new]}", ("release", release.id), now=now, app_id=release.version.app_id,
        before={"state": old}, after={"version": release.version.version, "state": new},
    )  # fmt: skip


def _set(session: Session, release: Release, revision: int, values: dict[str, Any]) -> None:
    catalogs.touch(session, release.version.app_id)
    if not compare_and_set(session, Release, {"id": release.id}, {"revision": revision}, {**values, "revision": revision + 1}):
        raise _stale(release)


def _stale(release: Release) -> OtaError:
    return Conflict(
        "stale_revision",
        f"Somebody else changed this release meanwhile: it is now {_words(ReleaseState(release.state))}. Look at it, then decide again.",
        current=summary(release),
    )


def _check_publishable(version: Version, rollout: int) -> None:
    _checked_rollout(rollout)
    if version.checksum is None:
        raise no_checksum()


def _checked_rollout(rollout: int) -> int:
    if not 0 <= rollout <= FULL:
        raise Invalid(
            "bad_rollout", "rollout: expected whole basis points from 0 (nobody) to 10000 (everybody); 10 % is 1000.", field="rollout"
        )
    return rollout


def no_checksum() -> OtaError:
    """The error that says why a version without a digest is not offered."""
    return Invalid(
        "checksum_missing",
        "checksum: a version without its file's SHA-256 can't be published, since devices could not tell a damaged file.",
        field="checksum",
    )


def _standing(session: Session, version: Version, channel: Channel) -> Release | None:
    query = select(Release).where(Release.version_id == version.id, Release.channel_id == channel.id, Release.state.in_(LIVE_STATES))
    return session.scalar(query)


def _already_released(release: Release) -> OtaError:
    return Conflict(
        "already_released",
        f"Version {release.version.version} is already on {release.channel.name}; it was published by {release.created_by}.",
        current={**versions.summary(release.version), "release": summary(release)},
    )


def _words(state: ReleaseState) -> str:
    return state.value.replace("_", " ")


def _words_of_verb(state: ReleaseState) -> str:
    return _VERBS[state].replace("_", " ")
