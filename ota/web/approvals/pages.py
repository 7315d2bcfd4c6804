"""Pages that approve, decline or take back a proposal."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from ota import approvals
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.errors import OtaError
from ota.web.access import actor, page
from ota.web.errors import status_of
from ota.web.in_view import app_in_view
from ota.web.releases.views import list_page

blueprint = Blueprint("admin_approvals", __name__, url_prefix="/apps/<slug>/proposals/<int:proposal_id>")


@blueprint.post("/approve")
@page(Access.PUBLISH)
def approve(slug: str, proposal_id: int) -> ResponseReturnValue:
    """Do what another person proposed. A proposal that can no longer be done stays open and shows why."""
    try:
        with transaction() as session:
            proposal = approvals.get(session, proposal_id, app=app_in_view(slug))
            done = approvals.approve(session, actor(), proposal, now=utcnow())
    except OtaError as error:
        return _failed(slug, proposal_id, error)
    flash(f"Approved. {done}")
    return redirect(url_for("admin_releases.index", slug=slug), 303)


@blueprint.post("/decline")
@page(Access.PUBLISH)
def decline(slug: str, proposal_id: int) -> ResponseReturnValue:
    """Decline a proposal, or take your own back."""
    try:
        with transaction() as session:
            proposal = approvals.get(session, proposal_id, app=app_in_view(slug))
            is_own, summary = proposal.proposed_by_id == actor().user_id, proposal.summary
            approvals.decline(session, actor(), proposal, now=utcnow())
    except OtaError as error:
        return _failed(slug, proposal_id, error)
    flash(f"{'Taken back' if is_own else 'Declined'}: {summary}")
    return redirect(url_for("admin_releases.index", slug=slug), 303)


def _failed(slug: str, proposal_id: int, error: OtaError) -> ResponseReturnValue:
    reader().rollback()
    app = app_in_view(slug)
    approvals.get(reader(), proposal_id, app=app)  # Raises `NotFound` for a proposal that does not exist.
    return list_page(app, problem=error.message, about=proposal_id), status_of(error)
