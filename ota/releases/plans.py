"""Plans of releases: the next step is taken when its soak has passed, unless a gate holds it."""

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
    """Return the plan's columns that a change of state changes: the soak stops while nothing is offered."""
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
    """Return the ids of releases whose next step is due, the earliest first."""
    query = select(Release.id).where(Release.next_step_at <= now, Release.state == ReleaseState.ACTIVE)
    return session.scalars(query.order_by(Release.next_step_at).limit(_BATCH)).all()


def advance_if_due(session: Session, release_id: int, *, now: datetime) -> Release | None:
    """Take the next step as the scheduler does.

    Return None, with nothing changed, if it is not due or has to wait.

    Can run late or twice without harm: the step is set only if it is still the one that was read.
    """
    release = get(session, release_id)
    if not is_due(release, now=now) or why_waiting(session, release, now=now) is not None:
        return None
    try:
        return _advance(session, SYSTEM, release, revision=release.revision, now=now)
    except Conflict:
        return None  # The step was taken, or the release stopped, at the same moment.


def advance(
    session: Session, actor: Actor, release: Release, *, revision: int | None = None, now: datetime
) -> Release:
    """Take the next step now, before its soak has passed.

    Raises `Conflict` when there is no next step, the release is not offered now, or the preflight blocks it.
    """
    if not has_next_step(release):
        raise Conflict(
            "no_next_step",
            "The release has no next step: its plan is at its end, or it has none.",
            current=summary(release),
        )
    if not can_advance(release, now=now):
        raise Conflict(
            "wrong_state",
            "Only a release that is offered now can take its next step.",
            current=summary(release),
        )
    preflight.recheck(session, release, now=now)
    return _advance(session, actor, release, revision=revision, now=now)


def has_next_step(release: Release) -> bool:
    """Does the plan have a step after the present one?"""
    return release.plan_step is not None and release.plan_step + 1 < len(release.plan or ())


def can_advance(release: Release, *, now: datetime) -> bool:
    """Is there a next step, and is the release offered now?"""
    return has_next_step(release) and release.state == ReleaseState.ACTIVE and release.starts_at <= now


def is_due(release: Release, *, now: datetime) -> bool:
    """Has the soak of the present step passed, while the release is offered?"""
    at = release.next_step_at
    return at is not None and at <= now and release.state == ReleaseState.ACTIVE


def why_overdue(session: Session, release: Release, *, now: datetime) -> str | None:
    """Return the gate that holds a due step; None when no step is due or nothing holds it."""
    return why_waiting(session, release, now=now) if is_due(release, now=now) else None


def why_waiting(session: Session, release: Release, *, now: datetime) -> str | None:
    """Return the gate that would hold the next step, as a sentence; None when nothing would."""
    try:
        preflight.recheck(session, release, now=now)
    except Conflict as blocked:
        return blocked.message
    return findings.why_waiting(session, release)


def _advance(
    session: Session, actor: Actor, release: Release, *, revision: int | None, now: datetime
) -> Release:
    plan, step = plan_of(release), release.plan_step
    assert step is not None
    # The soak runs from the moment of the step, not from when it was due: devices must have it for that time.
    values = {
        "rollout": plan[step + 1].rollout,
        "plan_step": step + 1,
        "soak_left": None,
        "next_step_at": next_step_at(plan, step + 1, now),
    }
    expected = {"plan_step": step, "state": ReleaseState.ACTIVE}
    change(session, actor, release, "plan_step", values, revision=revision, now=now, expected=expected)
    return release
