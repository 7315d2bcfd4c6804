"""The terms of a release besides its rollout: start, plan, groups, deadline, critical range, floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ota.builds import fields
from ota.core.plans import Plan, PlanStep, check_plan
from ota.core.rollout import FULL
from ota.core.versions import CurrentVersion, parse_current_version
from ota.errors import Invalid
from ota.models import Release

MAX_AHEAD = timedelta(days=366)
"""Longest time between now and the start of a release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms that a release can have. ``groups`` are names; times have a zone.

    From ``mandatory_from`` on, the release is mandatory for all devices. It is always mandatory for devices
    that run a version from ``critical_from`` (inclusive) to ``critical_below`` (exclusive). The rollout at
    the start is that of the plan's first step.
    """

    starts_at: datetime | None = None
    plan: Plan = ()
    groups: tuple[str, ...] = ()
    mandatory_from: datetime | None = None
    critical_from: str | None = None
    critical_below: str | None = None
    is_floor: bool = False


def check_rollout(rollout: int) -> int:
    """Return a rollout of 0 to 10000 basis points. Raises `Invalid` for any other."""
    if not 0 <= rollout <= FULL:
        raise Invalid.about(
            "rollout",
            "bad_rollout",
            "expected whole basis points from 0 (nobody) to 10000 (everybody); 10 % is 1000.",
        )
    return rollout


def first_rollout(rollout: int | None, plan: Sequence[PlanStep]) -> int:
    """Return the rollout at the start, in basis points.

    Raises `Invalid` if the rollout and the plan contradict each other.
    """
    if rollout is not None and plan and rollout != plan[0].rollout:
        raise Invalid(
            "bad_plan",
            f"rollout: the plan begins with {plan[0].rollout}, so leave the rollout out or send the same.",
            field="plan",
        )
    return check_rollout(rollout if rollout is not None else plan[0].rollout if plan else FULL)


def checked_plan(plan: Sequence[PlanStep], *, present: int = 0) -> list[dict[str, Any]] | None:
    """Return the plan as its column stores it; None for an empty one.

    ``present`` is the rollout so far, in basis points. Raises `Invalid` for a plan that does not rise from
    there or that cannot be followed.
    """
    if not plan:
        return None
    try:
        check_plan(plan, present=present)
    except ValueError as error:
        raise Invalid.about("plan", "bad_plan", f"{error}.") from error
    return [{"rollout": step.rollout, "soak_minutes": step.soak_minutes} for step in plan]


def plan_of(release: Release) -> Plan:
    """Return the plan of a release, empty without one."""
    return tuple(PlanStep(step["rollout"], step["soak_minutes"]) for step in release.plan or ())


def checked_start(starts_at: datetime | None, now: datetime) -> datetime:
    """Return the start of a release, by default now.

    Raises `Invalid` for the past and for more than a year ahead.
    """
    if starts_at is None:
        return now
    if starts_at < now:
        shown = f"{starts_at:%Y-%m-%d %H:%M %Z}"
        raise Invalid.about(
            "starts_at",
            "start_in_past",
            f"{shown} has passed. Leave it out to start now, or name a moment that lies ahead.",
        )
    if starts_at > now + MAX_AHEAD:
        raise Invalid.about(
            "starts_at", "start_too_far", "more than a year ahead. Name a moment within a year."
        )
    return starts_at


def checked_bounds(critical_from: str | None, critical_below: str | None) -> tuple[str | None, str | None]:
    """Return the critical range, normalized.

    Raises `Invalid` for a version that cannot be read and for an empty range.
    """
    lower, upper = _bound("critical_from", critical_from), _bound("critical_below", critical_below)
    if lower is not None and upper is None:
        raise Invalid(
            "bad_critical",
            "critical_from: it needs critical_below, the version up to which it holds.",
            field="critical_below",
        )
    if lower is not None and upper is not None and not _is_below(lower, upper):
        raise Invalid.about(
            "critical_from",
            "bad_critical",
            f"{lower.text} is not below {upper.text}, so no device would be meant.",
        )
    return (lower.text if lower else None), (upper.text if upper else None)


def check_floor(rollout: int, plan: Sequence[object] | None, starts_at: datetime, now: datetime) -> None:
    """Raise `Invalid` for a floor that is not open to all devices now: the others would be stuck below it."""
    if rollout != FULL or plan or starts_at > now:
        raise Invalid.about(
            "is_floor",
            "floor_unreachable",
            "a floor must be open to everybody now, or the devices below it could neither reach nor pass it. "
            "Open the release to 100 % (10000) first, then make it a floor.",
        )


def _bound(field: str, text: str | None) -> CurrentVersion | None:
    if text is None or not text.strip():
        return None
    try:
        bound = parse_current_version(text)
    except ValueError as error:
        raise Invalid.about(field, "bad_critical", f"{error}") from error
    if len(bound.text) > fields.MAX_NAME:
        raise Invalid.about(field, "bad_critical", f"at most {fields.MAX_NAME} characters.")
    return bound


def _is_below(lower: CurrentVersion, upper: CurrentVersion) -> bool:
    if lower.build is not None and upper.build is not None:
        return lower.build < upper.build
    return lower.name < upper.name
