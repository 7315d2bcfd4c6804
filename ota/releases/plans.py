"""Rollout plans at work: a release is opened further when its soak has passed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.core.lifecycle import ReleaseState
from ota.core.plans import next_step_at
from ota.errors import Conflict
from ota.health import findings
from ota.history.audit import SYSTEM, Actor
from ota.models import Release
from ota.releases import preflight
from ota.releases.rows import change, get, summary
from ota.releases.terms import plan_of

_BATCH = 100


def values_for(release: Release, new: ReleaseState, now: datetime) -> dict[str, Any]:
    """What becomes of a plan when its release changes its state: the soak stands still while nothing is offered."""
    if release.plan_step is None:
        return {}
    if new is ReleaseState.ACTIVE:
        left = release.soak_left
        return {
            "soak_left": None,
            "next_step_at": None if left is None else max(now, release.starts_at) + timedelta(seconds=left),
        }
    if release.state == ReleaseState.ACTIVE and release.next_step_at is not None:
        left = int((release.next_step_at - max(now, release.starts_at)).total_seconds())
        return {"soak_left": max(0, left), "next_step_at": None}
    return {}


def due(session: Session, *, now: datetime) -> Sequence[int]:
    """The ids of the releases whose next step is due, the longest waiting first."""
    query = select(Release.id).where(Release.next_step_at <= now, Release.state == ReleaseState.ACTIVE)
    return session.scalars(query.order_by(Release.next_step_at).limit(_BATCH)).all()


def advance_if_due(session: Session, release_id: int, *, now: datetime) -> Release | None:
    """Take the next step of a plan by itself. None, with nothing changed, when it is not due any more or has to wait.

    A task that comes late or twice does nothing: the step that it saw is compared and set.
    """
    release = get(session, release_id)
    is_due = (
        release.next_step_at is not None
        and release.next_step_at <= now
        and release.state == ReleaseState.ACTIVE
    )
    if not is_due or why_waiting(session, release, now=now) is not None:
        return None
    try:
        return _advance(session, SYSTEM, release, revision=release.revision, now=now)
    except Conflict:
        return None  # Somebody else took the step, or stopped the release, at this moment.


def advance(
    session: Session, actor: Actor, release: Release, *, revision: int | None = None, now: datetime
) -> Release:
    """Take the next step now, before its soak has passed. Raises `Conflict` when there is none or the release is stopped."""
    if release.plan_step is None or release.plan_step + 1 >= len(release.plan or ()):
        raise Conflict(
            "no_next_step",
            "The release has no next step: its plan is at its end, or it has none.",
            current=summary(release),
        )
    if release.state != ReleaseState.ACTIVE or release.starts_at > now:
        raise Conflict(
            "wrong_state",
            "Only a release that is offered now can take its next step.",
            current=summary(release),
        )
    preflight.demand(session, release.version, release.channel, now=now, only=preflight.STILL_DEMANDED)
    return _advance(session, actor, release, revision=revision, now=now)


def why_waiting(session: Session, release: Release, *, now: datetime) -> str | None:
    """Why the next step is not taken although its soak has passed; None when nothing holds it."""
    try:
        preflight.demand(session, release.version, release.channel, now=now, only=preflight.STILL_DEMANDED)
    except Conflict as blocked:
        return blocked.message
    return findings.why_waiting(session, release)


def _advance(
    session: Session, actor: Actor, release: Release, *, revision: int | None, now: datetime
) -> Release:
    plan, step = plan_of(release), release.plan_step
    assert step is not None
    # The soak is counted from the step itself, not from when it was due: what counts is how long devices had it.
    values = {
        "rollout": plan[step + 1].rollout,
        "plan_step": step + 1,
        "soak_left": None,
        "next_step_at": next_step_at(plan, step + 1, now),
    }
    expected = {"plan_step": step, "state": ReleaseState.ACTIVE}
    change(session, actor, release, "plan_step", values, revision=revision, now=now, expected=expected)
    return release
