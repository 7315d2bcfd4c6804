"""From rows about releases to what callers see."""

from __future__ import annotations

from ota.core.plans import Plan, PlanStep
from ota.models import AuditEvent, Experiment, Proposal
from ota.releases.terms import Terms
from ota.web import views
from ota.web.release_views import PlanStepShape, ProposalView
from ota.web.releases.shapes import EventView, ExperimentView, PromoteRequest, ReleaseRequest


def terms_of(body: ReleaseRequest | PromoteRequest) -> Terms:
    """What a request says about a release, as the services take it."""
    return Terms(
        starts_at=body.starts_at,
        plan=plan_of(body.plan),
        groups=tuple(body.groups),
        mandatory_from=body.mandatory_from,
        critical_from=body.critical_from,
        critical_below=body.critical_below,
        is_floor=body.is_floor,
    )


def plan_of(steps: list[PlanStepShape]) -> Plan:
    """A plan as the services take it."""
    return tuple(PlanStep(step.rollout, step.soak_minutes) for step in steps)


def proposal_view(proposal: Proposal) -> ProposalView:
    return ProposalView(
        id=proposal.id,
        kind=proposal.kind,
        channel=proposal.channel.name,
        summary=proposal.summary,
        state=proposal.state,
        proposed_at=proposal.proposed_at,
        proposed_by=proposal.proposed_by,
        decided_at=proposal.decided_at,
        decided_by=proposal.decided_by,
    )


def waits(proposal: Proposal) -> str:
    """What is said instead of "done"."""
    return f"Nothing is changed yet: another person has to approve proposal {proposal.id}. {proposal.summary}"


def event_view(event: AuditEvent) -> EventView:
    return EventView(
        at=event.at, actor=event.actor, action=event.action, before=event.before, after=event.after
    )


def experiment_view(experiment: Experiment) -> ExperimentView:
    return ExperimentView(
        id=experiment.id,
        name=experiment.name,
        channel=experiment.channel.name,
        platform=experiment.platform,
        state=experiment.state,
        arms=[views.release_view(arm) for arm in experiment.arms],
        winner_version_id=experiment.winner_version_id,
        created_at=experiment.created_at,
        created_by=experiment.created_by,
        ended_at=experiment.ended_at,
        revision=experiment.revision,
    )
