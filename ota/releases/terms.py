"""On what terms a version is offered, besides how far: when, in which steps, to whom in any case, for whom it is mandatory."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a release may carry. ``groups`` are names; times are aware.

    ``mandatory_from``: mandatory for everybody from then on. ``critical_below`` (exclusive) and ``critical_from`` (inclusive): mandatory
    for devices on the versions between. A plan's first step says how far the release is open at its start.
    """

    starts_at: datetime | None = None
    plan: Plan = ()
    groups: tuple[str, ...] = ()
    mandatory_from: datetime | None = None
    critical_from: str | None = None
    critical_below: str | None = None
    is_floor: bool = False


def check_rollout(rollout: int) -> int:
    """Whole basis points. Raises `Invalid`."""
    if not 0 <= rollout <= FULL:
        raise Invalid.about(
            "rollout",
            "bad_rollout",
            "expected whole basis points from 0 (nobody) to 10000 (everybody); 10 % is 1000.",
        )
    return rollout


def first_rollout(rollout: int | None, plan: Sequence[PlanStep]) -> int:
    """How far a release is open when it starts. Raises `Invalid` where the rollout and the plan contradict each other."""
    if rollout is not None and plan and rollout != plan[0].rollout:
        raise Invalid(
            "bad_plan",
            f"rollout: the plan begins with {plan[0].rollout}, so leave the rollout out or send the same.",
            field="plan",
        )
    return check_rollout(rollout if rollout is not None else plan[0].rollout if plan else FULL)


def checked_plan(plan: Sequence[PlanStep], *, present: int = 0) -> list[dict[str, Any]] | None:
    """The plan as its row keeps it; None for an empty one. Raises `Invalid` for one that goes down or can't be followed."""
    if not plan:
        return None
    try:
        check_plan(plan, present=present)
    except ValueError as error:
        raise Invalid.about("plan", "bad_plan", f"{error}.") from error
    return [{"rollout": step.rollout, "soak_minutes": step.soak_minutes} for step in plan]


def plan_of(release: Release) -> Plan:
    """The plan of a row."""
    return tuple(PlanStep(step["rollout"], step["soak_minutes"]) for step in release.plan or ())


def checked_start(starts_at: datetime | None, now: datetime) -> datetime:
    """When the release starts: now where nothing was said. Raises `Invalid` for the past and for more than a year ahead."""
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
    """The versions for whose devices a release is mandatory. Raises `Invalid` for what can't be read or holds nobody."""
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
    """Raises `Invalid` for a floor that some device could not reach: it would be stuck below it."""
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
