"""Releases: offering a version, and the verbs that stop it."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ota import catalogs
from ota.apps import apps, two_person
from ota.apps.two_person import Approval
from ota.builds import version_edits, versions
from ota.core.lifecycle import LIVE_STATES, ReleaseState, may_move_release
from ota.core.plans import next_step_at, widest
from ota.core.platforms import Platform
from ota.devices import groups as device_groups
from ota.errors import Conflict, Invalid, OtaError
from ota.health import findings
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Channel, Release, Version
from ota.releases import plans, preflight
from ota.releases import terms as release_terms
from ota.releases.rows import change, full_since, live, plain, standing, summary, words
from ota.releases.terms import Terms

_VERBS = {
    ReleaseState.ACTIVE: "resumed",
    ReleaseState.PAUSED: "paused",
    ReleaseState.HALTED: "halted",
    ReleaseState.ROLLED_BACK: "rolled_back",
    ReleaseState.WITHDRAWN: "withdrawn",
    ReleaseState.CONCLUDED: "concluded",
}

MAX_REASON = 500


def start(
    session: Session,
    actor: Actor,
    version: Version,
    *,
    channel: str | None = None,
    rollout: int | None = None,
    terms: Terms | None = None,
    revision: int | None = None,
    approval: Approval | None = None,
    now: datetime,
) -> Release:
    """Offer a version on a channel, to so many basis points of its devices (all without a word), on these terms.

    ``revision`` is the version's, as the publisher saw it. Raises `Conflict` when somebody was faster, the version already
    stands on the channel, or the preflight blocks it; `Invalid` for a version or terms that can't be; `NeedsApproval` where the
    channel asks for another person.
    """
    target = apps.find_channel(version.app, channel)
    release = drafted(session, version, target, rollout, terms or Terms(), now)
    there = standing(session, version, target)
    if there is not None:
        session.refresh(version)  # Whoever was faster has changed it since it was read.
        raise _already_released(there)
    if revision is not None and revision != version.revision:
        raise version_edits.stale(
            version
        )  # Before anybody is asked to approve what could not be done any more.
    preflight.demand(session, version, target, now=now)
    two_person.demand(
        "start",
        target,
        widest(release.rollout, release_terms.plan_of(release)),
        approval,
        f"Release {version.version} (+{version.version_code}) on {target.name}",
        {
            "version_id": version.id,
            "channel": target.name,
            "rollout": rollout,
            "terms": terms,
            "revision": revision or version.revision,
        },
    )
    publish_version(session, actor, version, target, revision=revision, now=now)
    return add(session, actor, release, version, target, terms.groups if terms else (), now=now)


def publish_version(
    session: Session, actor: Actor, version: Version, channel: Channel, *, revision: int | None, now: datetime
) -> None:
    """Make a version one that devices may be offered: what blocks it is looked at, its signer is pinned. Raises as `start`."""
    values: dict[str, Any] = {"is_active": True, "withdrawn_at": None}
    if version.published_at is None:
        values["published_at"] = now
    preflight.demand(session, version, channel, now=now)
    version_edits.advance(session, version, revision, values)
    preflight.pin_signer(session, actor, version, now=now)


def add(
    session: Session,
    actor: Actor,
    release: Release,
    version: Version,
    channel: Channel,
    groups: tuple[str, ...] = (),
    *,
    now: datetime,
    **more: Any,
) -> Release:
    """Put a release into the database, with its line in the history. ``more`` goes into the line."""
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
    told = ("plan", "mandatory_from", "critical_from", "critical_below")
    after = {
        "version": version.version,
        "channel": channel.name,
        "rollout": release.rollout,
        **({"starts_at": plain(release.starts_at)} if release.starts_at > now else {}),
        **{
            column: plain(getattr(release, column)) for column in told if getattr(release, column) is not None
        },
        **({"groups": list(groups)} if groups else {}),
        **({"is_floor": True} if release.is_floor else {}),
        **more,
        "revision": 1,
    }
    audit.record(
        session,
        actor,
        "release.started",
        ("release", release.id),
        now=now,
        app_id=version.app_id,
        after=after,
    )
    return release


def new_salt() -> str:
    """A release's own: it draws its own first devices."""
    return secrets.token_hex(16)


def withdraw_version(
    session: Session, actor: Actor, version: Version, *, revision: int | None = None, now: datetime
) -> Version:
    """The seed's deactivate: take a version out of all answers; its download answers 410."""
    if not version.is_active:
        raise Conflict(
            "not_active",
            f"Version {version.version} is not active, so there is nothing to withdraw.",
            current=versions.summary(version),
        )
    version_edits.advance(session, version, revision, {"is_active": False, "withdrawn_at": now})
    for release in version.releases:
        if release.is_live:
            _move(session, actor, release, ReleaseState.WITHDRAWN, revision=release.revision, now=now)
    after = {"version": version.version}
    audit.record(
        session,
        actor,
        "version.withdrawn",
        ("version", version.id),
        now=now,
        app_id=version.app_id,
        after=after,
    )
    return version


def change_state(
    session: Session,
    actor: Actor,
    release: Release,
    new: ReleaseState,
    *,
    revision: int | None = None,
    reason: str | None = None,
    now: datetime,
) -> Release:
    """Pause, halt, resume, roll back or withdraw one release. None of them needs another person's approval.

    A version whose last release has gone is no longer active. Raises `Conflict` with the present state when the move
    isn't possible or somebody was faster.
    """
    old = ReleaseState(release.state)
    if not may_move_release(old, new):
        verb = words(_VERBS[new])
        raise Conflict(
            "wrong_state", f"The release is {words(old)}, so it can't be {verb}.", current=summary(release)
        )
    if new is ReleaseState.ACTIVE:
        preflight.demand(session, release.version, release.channel, now=now, only=preflight.STILL_DEMANDED)
    seen = release.revision if revision is None else revision
    if new is ReleaseState.ACTIVE and (
        old is ReleaseState.HALTED or findings.was_found_bad(session, release)
    ):
        findings.restart(session, release, now=now)
    if new not in LIVE_STATES:
        _leave(session, release, new, now=now)
    _move(session, actor, release, new, revision=seen, reason=reason, now=now)
    return release


def roll_back_newest(
    session: Session,
    actor: Actor,
    app: App,
    platform: Platform,
    channel: str | None,
    *,
    reason: str | None = None,
    now: datetime,
) -> Release:
    """Roll back what the channel offers first, in one call for scripts. Raises `Conflict` when nothing stands there."""
    target = apps.find_channel(app, channel)
    for release in live(session, app):
        has_started = release.starts_at <= now and release.experiment_id is None
        if release.channel_id == target.id and release.platform == platform and has_started:
            return change_state(session, actor, release, ReleaseState.ROLLED_BACK, reason=reason, now=now)
    raise Conflict(
        "nothing_released",
        f"{app.name} has no release on {target.name} for {platform.label}, so there is nothing to roll back.",
    )


def promote(
    session: Session,
    actor: Actor,
    release: Release,
    channel: str,
    *,
    rollout: int | None = None,
    terms: Terms | None = None,
    approval: Approval | None = None,
    now: datetime,
) -> Release:
    """Offer the version of one release on another channel too: the same bytes, a release of its own. Raises as `start`."""
    if not release.is_live:
        raise Conflict(
            "wrong_state",
            f"The release is {words(release.state)}; only one that stands can be promoted.",
            current=summary(release),
        )
    if channel == release.channel.name:
        raise Invalid.about(
            "channel",
            "same_channel",
            f"the release already is on {channel}. Name the channel to promote it to.",
        )
    return start(
        session,
        actor,
        release.version,
        channel=channel,
        rollout=rollout,
        terms=terms,
        approval=approval,
        now=now,
    )


def no_checksum() -> OtaError:
    """The error that says why a version without a digest is not offered."""
    return Invalid.about(
        "checksum",
        "checksum_missing",
        "a version without its file's SHA-256 can't be published, since devices could not tell a damaged file.",
    )


def drafted(
    session: Session, version: Version, channel: Channel, rollout: int | None, terms: Terms, now: datetime
) -> Release:
    """The release as it would be, not yet in the session. Raises `Invalid`."""
    if version.checksum is None:
        raise no_checksum()
    plan = release_terms.checked_plan(terms.plan)
    opened = release_terms.first_rollout(rollout, terms.plan)
    starts_at = release_terms.checked_start(terms.starts_at, now)
    critical_from, critical_below = release_terms.checked_bounds(terms.critical_from, terms.critical_below)
    device_groups.named(session, version.app, terms.groups)
    if terms.is_floor:
        release_terms.check_floor(opened, plan, starts_at, now)
    return Release(
        **full_since({"rollout": opened}, starts_at, now=now),
        channel_id=channel.id,
        version_id=version.id,
        platform=version.platform,
        state=ReleaseState.ACTIVE,
        rollout=opened,
        salt=new_salt(),
        starts_at=starts_at,
        plan=plan,
        plan_step=0 if plan else None,
        next_step_at=next_step_at(terms.plan, 0, starts_at) if plan else None,
        mandatory_from=terms.mandatory_from,
        critical_from=critical_from,
        critical_below=critical_below,
        is_floor=terms.is_floor,
    )


def _leave(session: Session, release: Release, new: ReleaseState, *, now: datetime) -> None:
    """What the version becomes when this release of it ends."""
    version = release.version
    others = select(Release.id).where(
        Release.version_id == version.id, Release.id != release.id, Release.state.in_(LIVE_STATES)
    )
    stays = session.scalar(others.limit(1)) is not None
    values: dict[str, Any] = {"is_active": stays}
    if new is ReleaseState.WITHDRAWN and not stays:
        values["withdrawn_at"] = now
    version_edits.advance(session, version, None, values)


def _move(
    session: Session,
    actor: Actor,
    release: Release,
    new: ReleaseState,
    *,
    revision: int,
    reason: str | None = None,
    now: datetime,
) -> None:
    said = (reason or "").strip()[:MAX_REASON] or None
    values: dict[str, Any] = {"state": new, "reason": said, **plans.values_for(release, new, now)}
    if new not in LIVE_STATES:
        values["ended_at"] = now
    change(session, actor, release, _VERBS[new], values, revision=revision, now=now)


def _already_released(release: Release) -> OtaError:
    return Conflict(
        "already_released",
        f"Version {release.version.version} is already on {release.channel.name}; it was published by {release.created_by}.",
        current={**versions.summary(release.version), "release": summary(release)},
    )
