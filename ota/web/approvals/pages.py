"""What waits for another person: approved, declined or taken back."""

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
    """Do what another person proposed. What can't be done any more stays open and says why."""
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
    """Say no; the author takes their own back with it."""
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
    approvals.get(reader(), proposal_id, app=app)  # One that never was gets its 404.
    return list_page(app, problem=error.message, about=proposal_id), status_of(error)
