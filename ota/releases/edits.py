"""Edits of live releases: the rollout and the terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ota.apps import two_person
from ota.apps.two_person import Approval
from ota.core.plans import Plan, next_step_at, widest
from ota.devices import groups as device_groups
from ota.errors import Conflict, Invalid
from ota.history.audit import Actor
from ota.models import Release
from ota.releases import preflight
from ota.releases import terms as release_terms
from ota.releases.rows import change, check_revision, state_text, summary

NO_PLAN: Mapping[str, None] = {"plan": None, "plan_step": None, "next_step_at": None, "soak_left": None}
"""Column values of a release without a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseEdit:
    """The terms to change. None keeps a term; an empty text, plan or list of groups clears it.

    ``clears_deadline`` clears ``mandatory_from``, and ``starts_now`` moves the start to now.
    """

    starts_at: datetime | None = None
    starts_now: bool = False
    plan: Plan | None = None
    groups: tuple[str, ...] | None = None
    mandatory_from: datetime | None = None
    clears_deadline: bool = False
    critical_from: str | None = None
    critical_below: str | None = None
    is_floor: bool | None = None


def set_rollout(
    session: Session,
    actor: Actor,
    release: Release,
    rollout: int,
    *,
    revision: int | None = None,
    approval: Approval | None = None,
    now: datetime,
) -> Release:
    """Set the rollout, in basis points, and end the plan. Devices that have updated keep the version.

    Raises `Conflict` for a release that has ended, is an arm of an experiment or has changed, `Invalid` for a
    rollout that cannot be set, and `NeedsApproval` when the channel's rule requires another person for this
    rollout.
    """
    _check_editable(release)
    release_terms.check_rollout(rollout)
    if release.is_floor and rollout < release.rollout:
        raise _is_floor(release)
    check_revision(release, revision)
    if rollout > release.rollout:
        payload = {
            "release_id": release.id,
            "rollout": rollout,
            "revision": release.revision if revision is None else revision,
        }
        title = f"Open {release.version.version} on {release.channel.name} further"
        two_person.demand("rollout", release.channel, rollout, approval, title, payload)
        preflight.recheck(session, release, now=now)
    values = {"rollout": rollout, **NO_PLAN}
    change(session, actor, release, "rollout_changed", values, revision=revision, now=now)
    return release


def edit(
    session: Session,
    actor: Actor,
    release: Release,
    changes: ReleaseEdit,
    *,
    revision: int | None = None,
    approval: Approval | None = None,
    now: datetime,
) -> Release:
    """Change the terms of a live release.

    Raises as `set_rollout`, and `Invalid` for terms that cannot be combined.
    """
    _check_editable(release)
    seen = release.revision if revision is None else revision
    values = _times(release, changes, now)
    values |= _bounds(release, changes)
    check_revision(release, seen)
    if changes.plan is not None:
        values |= _new_plan(release, changes.plan, values.get("starts_at", release.starts_at), now)
        _demand_for_plan(session, release, changes.plan, seen, approval, now)
    if changes.is_floor is not None:
        values["is_floor"] = changes.is_floor
    _check_floor(release, changes, values, now)
    groups = _set_groups(session, release, changes.groups)
    change(session, actor, release, "edited", values, revision=seen, now=now, **groups)
    return release


def _check_editable(release: Release) -> None:
    """Raise `Conflict` for a release that has ended or is an arm of an experiment."""
    if not release.is_live:
        raise Conflict(
            "wrong_state",
            f"The release is {state_text(release.state)}; it can't be changed any more.",
            current=summary(release),
        )
    if release.experiment_id is not None:
        raise Conflict(
            "in_experiment",
            "The release is an arm of an experiment, which keeps the shares as they are. "
            "End the experiment instead.",
            current=summary(release),
        )


def _times(release: Release, changes: ReleaseEdit, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if changes.clears_deadline or changes.mandatory_from is not None:
        values["mandatory_from"] = changes.mandatory_from
    if changes.starts_now or changes.starts_at is not None:
        if release.starts_at <= now:
            raise Conflict(
                "already_started", "starts_at: the release has started already.", current=summary(release)
            )
        values["starts_at"] = release_terms.checked_start(
            None if changes.starts_now else changes.starts_at, now
        )
        if release.next_step_at is not None:
            values["next_step_at"] = next_step_at(release_terms.plan_of(release), 0, values["starts_at"])
    return values


def _bounds(release: Release, changes: ReleaseEdit) -> dict[str, Any]:
    if changes.critical_from is None and changes.critical_below is None:
        return {}
    lower = release.critical_from if changes.critical_from is None else changes.critical_from
    upper = release.critical_below if changes.critical_below is None else changes.critical_below
    critical_from, critical_below = release_terms.checked_bounds(lower, upper)
    return {"critical_from": critical_from, "critical_below": critical_below}


def _new_plan(release: Release, plan: Plan, starts_at: datetime, now: datetime) -> dict[str, Any]:
    if not plan:
        return dict(NO_PLAN)
    _check_active(release)
    kept = release_terms.checked_plan(plan, present=release.rollout)
    first = next_step_at(plan, 0, max(now, starts_at))
    return {
        "plan": kept,
        "plan_step": 0,
        "rollout": plan[0].rollout,
        "next_step_at": first,
        "soak_left": None,
    }


def _demand_for_plan(
    session: Session, release: Release, plan: Plan, seen: int, approval: Approval | None, now: datetime
) -> None:
    reach = widest(0, plan)
    if reach > release.rollout:
        title = f"A new plan for {release.version.version} on {release.channel.name}"
        payload = {"release_id": release.id, "plan": plan, "revision": seen}
        two_person.demand("plan", release.channel, reach, approval, title, payload)
        preflight.recheck(session, release, now=now)


def _check_floor(release: Release, changes: ReleaseEdit, values: dict[str, Any], now: datetime) -> None:
    """Check a release that becomes a floor, and a floor that gets a plan."""
    gets_plan = release.is_floor and changes.is_floor is None and values.get("plan")
    if not (changes.is_floor or gets_plan):
        return
    plan = values.get("plan", release.plan) if release.next_step_at or values.get("plan") else None
    rollout, starts_at = values.get("rollout", release.rollout), values.get("starts_at", release.starts_at)
    release_terms.check_floor(rollout, plan, starts_at, now)
    _check_active(release)


def _set_groups(session: Session, release: Release, names: tuple[str, ...] | None) -> dict[str, Any]:
    if names is None:
        return {}
    before = [group.name for group in release.groups]
    release.groups = device_groups.named(session, release.version.app, names)
    return {"groups": [group.name for group in release.groups], "groups_before": before}


def _check_active(release: Release) -> None:
    if release.state != "active":
        raise Conflict(
            "wrong_state",
            f"The release is {state_text(release.state)}. Resume it first.",
            current=summary(release),
        )


def _is_floor(release: Release) -> Invalid:
    return Invalid.about(
        "rollout",
        "floor_unreachable",
        f"{release.version.version} is a floor, which devices below it must be able to reach. "
        "Say that it is no floor first.",
    )
