"""Acts on releases: start, promote, pause, halt, resume, roll back, withdraw.

`edits` changes the rollout and the terms of a live release, `plans` takes the steps of its plan, and
`ota.approvals` holds an act until another person approves it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.apps import apps, two_person
from ota.apps.two_person import Approval
from ota.builds import version_edits, versions
from ota.core.lifecycle import LIVE_STATES, ReleaseState, may_move_release
from ota.core.plans import widest
from ota.core.platforms import Platform
from ota.errors import Conflict, Invalid
from ota.health import findings
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Channel, Release, Version
from ota.releases import drafts, plans, preflight
from ota.releases import rows as release_rows
from ota.releases import terms as release_terms
from ota.releases.rows import state_text, summary
from ota.releases.terms import Terms

_PARTICIPLES = {
    ReleaseState.ACTIVE: "resumed",
    ReleaseState.PAUSED: "paused",
    ReleaseState.HALTED: "halted",
    ReleaseState.ROLLED_BACK: "rolled_back",
    ReleaseState.WITHDRAWN: "withdrawn",
    ReleaseState.CONCLUDED: "concluded",
}
"""The act that leads to each state, as the history and messages name it."""

MAX_REASON = 500
"""Characters of a reason that are kept."""


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
    """Offer a version on a channel.

    ``rollout`` is in basis points; without a rollout or a plan it is open to all devices.

    ``revision`` is the version's revision that the publisher saw. Raises `Conflict` when it is stale, the
    version is already live on the channel, or the preflight blocks it; `Invalid` for a version or terms that
    cannot be released; `NeedsApproval` where the channel requires another person.
    """
    target = apps.find_channel(version.app, channel)
    release = drafts.draft_release(session, version, target, rollout, terms or Terms(), now)
    _check_not_live(session, version, target)
    # Checked before the approval, so that nobody is asked to approve an act that could no longer be done.
    if revision is not None and revision != version.revision:
        raise version_edits.stale(version)
    preflight.demand(session, version, target, now=now)
    payload = {
        "version_id": version.id,
        "channel": target.name,
        "rollout": rollout,
        "terms": terms,
        "revision": revision or version.revision,
    }
    _demand_approval(release, version, target, approval, payload)
    preflight.activate(session, actor, version, target, revision=revision, now=now)
    groups = terms.groups if terms else ()
    return release_rows.insert(session, actor, release, version, target, groups, now=now)


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
    """Offer the version of a live release on another channel, as a release of its own. Raises as `start`."""
    if not release.is_live:
        raise Conflict(
            "wrong_state",
            f"The release is {state_text(release.state)}; only one that stands can be promoted.",
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
    """Pause, halt, resume, roll back or withdraw a release. None of these needs another person's approval.

    A version without a live release is no longer active. Raises `Conflict` with the present state when the
    release cannot move to the new state or ``revision`` is stale.
    """
    old = ReleaseState(release.state)
    _check_move(release, old, new)
    if new is ReleaseState.ACTIVE:
        preflight.recheck(session, release, now=now)
    expected = release.revision if revision is None else revision
    if new is ReleaseState.ACTIVE and (
        old is ReleaseState.HALTED or findings.was_found_bad(session, release)
    ):
        findings.restart(session, release, now=now)
    if new not in LIVE_STATES:
        _end_version(session, release, new, now=now)
    _move(session, actor, release, new, revision=expected, reason=reason, now=now)
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
    """Roll back the release that a channel offers first.

    Raises `Conflict` when the channel has no started release.
    """
    target = apps.find_channel(app, channel)
    for release in release_rows.live(session, app):
        has_started = release.starts_at <= now and release.experiment_id is None
        if release.channel_id == target.id and release.platform == platform and has_started:
            return change_state(session, actor, release, ReleaseState.ROLLED_BACK, reason=reason, now=now)
    raise Conflict(
        "nothing_released",
        f"{app.name} has no release on {target.name} for {platform.label}, so there is nothing to roll back.",
    )


def withdraw_version(
    session: Session, actor: Actor, version: Version, *, revision: int | None = None, now: datetime
) -> Version:
    """Remove a version from all answers: the published protocol's deactivate. Its download then answers 410.

    Raises `Conflict` when the version is not active or ``revision`` is stale.
    """
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
    audit.record(
        session,
        actor,
        "version.withdrawn",
        ("version", version.id),
        now=now,
        app_id=version.app_id,
        after={"version": version.version},
    )
    return version


def _check_not_live(session: Session, version: Version, channel: Channel) -> None:
    present = release_rows.live_on(session, version, channel)
    if present is None:
        return
    session.refresh(version)  # The person who published it has changed it since it was read.
    raise Conflict(
        "already_released",
        f"Version {version.version} is already on {channel.name}; it was published by {present.created_by}.",
        current={**versions.summary(version), "release": summary(present)},
    )


def _demand_approval(
    release: Release, version: Version, channel: Channel, approval: Approval | None, payload: dict[str, Any]
) -> None:
    reach = widest(release.rollout, release_terms.plan_of(release))
    title = f"Release {version.version} (+{version.version_code}) on {channel.name}"
    two_person.demand("start", channel, reach, approval, title, payload)


def _check_move(release: Release, old: ReleaseState, new: ReleaseState) -> None:
    if not may_move_release(old, new):
        verb = state_text(_PARTICIPLES[new])
        raise Conflict(
            "wrong_state",
            f"The release is {state_text(old)}, so it can't be {verb}.",
            current=summary(release),
        )


def _end_version(session: Session, release: Release, new: ReleaseState, *, now: datetime) -> None:
    """Deactivate the version when its last live release ends."""
    version = release.version
    others = select(Release.id).where(
        Release.version_id == version.id, Release.id != release.id, Release.state.in_(LIVE_STATES)
    )
    is_still_live = session.scalar(others.limit(1)) is not None
    values: dict[str, Any] = {"is_active": is_still_live}
    if new is ReleaseState.WITHDRAWN and not is_still_live:
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
    kept_reason = (reason or "").strip()[:MAX_REASON] or None
    values: dict[str, Any] = {"state": new, "reason": kept_reason, **plans.values_for(release, new, now)}
    if new not in LIVE_STATES:
        values["ended_at"] = now
    release_rows.change(session, actor, release, _PARTICIPLES[new], values, revision=revision, now=now)
