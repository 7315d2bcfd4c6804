"""Rollout plans: the steps in which a release is opened, each after the soak of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from ota.core.rollout import FULL

MAX_STEPS = 20
MAX_SOAK_MINUTES = 90 * 24 * 60


@dataclass(frozen=True, slots=True)
class PlanStep:
    """Open the release to ``rollout`` basis points for ``soak_minutes``. The last step's soak is ignored."""

    rollout: int
    soak_minutes: int = 0


Plan = tuple[PlanStep, ...]


def check_plan(plan: Sequence[PlanStep], *, present: int = 0) -> None:
    """Raise ``ValueError``, with a message for people, if a release cannot follow the plan.

    ``present`` is the current rollout of the release, in basis points.
    """
    if not 2 <= len(plan) <= MAX_STEPS:
        raise ValueError(f"a plan has 2 to {MAX_STEPS} steps, for example 1000 for 1440 minutes, then 10000")
    for number, step in enumerate(plan, 1):
        if not 1 <= step.rollout <= FULL:
            raise ValueError(
                f"step {number} opens to {step.rollout}: "
                f"expected whole basis points from 1 to {FULL}; 10 % is 1000"
            )
        if number < len(plan) and not 1 <= step.soak_minutes <= MAX_SOAK_MINUTES:
            raise ValueError(
                f"step {number} soaks for {step.soak_minutes} minutes: "
                f"expected 1 to {MAX_SOAK_MINUTES} (90 days)"
            )
    if plan[0].rollout < present:
        raise ValueError(
            f"the release is open to {present / 100:g} % already, and a plan only goes up: "
            "begin with that or more"
        )
    for number, (before, after) in enumerate(pairwise(plan), 2):
        if after.rollout <= before.rollout:
            raise ValueError(
                f"step {number} goes from {before.rollout / 100:g} % to {after.rollout / 100:g} %, "
                "and a plan only goes up: put the steps in rising order"
            )


def next_step_at(plan: Sequence[PlanStep], index: int, since: datetime) -> datetime | None:
    """Return when the step after this one is due, if this one began at ``since``. None after the last one."""
    return since + timedelta(minutes=plan[index].soak_minutes) if index + 1 < len(plan) else None


def widest(rollout: int, plan: Sequence[PlanStep]) -> int:
    """Return the largest rollout that a release will have, in basis points."""
    return max([rollout, *(step.rollout for step in plan)])


def needs_approval(approval_above: int | None, rollout: int) -> bool:
    """Return whether a channel's two-person rule requires approval of a release with this rollout."""
    return approval_above is not None and rollout > approval_above
