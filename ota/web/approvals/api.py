"""Proposals by program: listing, approving and declining them."""

from __future__ import annotations

from flask import Blueprint

from ota import approvals
from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.web import views
from ota.web.access import actor
from ota.web.operation import MANAGING, Operation, act, operation
from ota.web.releases.shapes import ProposalAnswer, ProposalsAnswer, ProposalsQuery
from ota.web.shapes import RevisionRequest

blueprint = Blueprint("manage_approvals", __name__)


@blueprint.get("/api/proposals")
@operation(
    Operation(
        access=Access.VIEW,
        summary="List proposals",
        tag=MANAGING,
        query=ProposalsQuery,
        answer=ProposalsAnswer,
    )
)
def proposals(query: ProposalsQuery) -> ProposalsAnswer:
    """Return the open proposals and those that were decided, the newest first."""
    found = approvals.listed(reader(), apps.find(reader(), query.app), only_open=query.open)
    return ProposalsAnswer(proposals=[views.proposal_view(proposal) for proposal in found])


@blueprint.post("/api/proposals/<int:proposal_id>/approve")
@operation(act("Approve a proposal", body=RevisionRequest, answer=ProposalAnswer))
def approve(proposal_id: int, body: RevisionRequest) -> ProposalAnswer:
    """Do what another person proposed. Your own proposal answers 403, a decided one 409."""
    with transaction() as session:
        proposal = approvals.get(session, proposal_id)
        message = approvals.approve(session, actor(), proposal, now=utcnow())
    return ProposalAnswer(proposal=views.proposal_view(approvals.get(reader(), proposal_id)), message=message)


@blueprint.post("/api/proposals/<int:proposal_id>/decline")
@operation(act("Decline a proposal", body=RevisionRequest, answer=ProposalAnswer))
def decline(proposal_id: int, body: RevisionRequest) -> ProposalAnswer:
    """Decline a proposal, or take your own back. Nothing else changes."""
    with transaction() as session:
        approvals.decline(session, actor(), approvals.get(session, proposal_id), now=utcnow())
    view = views.proposal_view(approvals.get(reader(), proposal_id))
    return ProposalAnswer(proposal=view, message=f"The proposal is {view.state}.")
