"""How a release, and what waits for an approval, look from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct


class PlanStepShape(Struct, kw_only=True, forbid_unknown_fields=True):
    """One step of a rollout plan: open so far, then wait so long."""

    rollout: Annotated[int, Meta(ge=0, le=10_000, description="Whole basis points: 1000 is 10 %.")]
    soak_minutes: Annotated[
        int, Meta(ge=0, le=129_600, description="Minutes before the next step; the last step needs none.")
    ] = 0


class ReleaseView(Struct, kw_only=True):
    """A version offered on a channel."""

    id: int
    version_id: int
    channel: str
    state: str
    rollout: int
    starts_at: datetime
    plan: list[PlanStepShape]
    plan_step: Annotated[int, Meta(description="Which step of the plan it is at, from 0.")] | None
    next_step_at: (
        Annotated[
            datetime,
            Meta(description="When the next step is due; null when there is none, or while it is stopped."),
        ]
        | None
    )
    groups: Annotated[list[str], Meta(description="Device groups that are offered it whatever the rollout.")]
    mandatory_from: datetime | None
    critical_from: str | None
    critical_below: str | None
    is_floor: bool
    experiment_id: int | None
    bucket_from: int
    reason: Annotated[str, Meta(description="Why it was stopped or ended, where somebody said.")] | None
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    revision: int


class ProposalView(Struct, kw_only=True):
    """An act that waits for another person's approval, or what became of it."""

    id: int
    kind: str
    channel: str
    summary: str
    state: str
    proposed_at: datetime
    proposed_by: str
    decided_at: datetime | None
    decided_by: str | None
