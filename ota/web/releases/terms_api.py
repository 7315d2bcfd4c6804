"""Releases by program: reading them, changing their rollout and terms, promoting them."""

from __future__ import annotations

from flask import Blueprint
from msgspec import UNSET

from ota import approvals
from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.devices import devices
from ota.history import audit
from ota.models import Release
from ota.releases import acts as release_acts
from ota.releases import edits as release_edits
from ota.releases import plans
from ota.releases import rows as release_rows
from ota.releases.edits import ReleaseEdit
from ota.web import views
from ota.web.access import actor
from ota.web.operation import MANAGING, Operation, operation
from ota.web.releases import views as release_views
from ota.web.releases.api import act_answer, release_act, release_answer
from ota.web.releases.shapes import (
    PromoteRequest,
    ReleaseAnswer,
    ReleaseEditRequest,
    ReleaseHistoryAnswer,
    ReleasesAnswer,
    ReleasesQuery,
    RolloutRequest,
)
from ota.web.shapes import RevisionRequest

blueprint = Blueprint("manage_terms", __name__)


@blueprint.get("/api/releases")
@operation(
    Operation(
        access=Access.VIEW, summary="List releases", tag=MANAGING, query=ReleasesQuery, answer=ReleasesAnswer
    )
)
def index(query: ReleasesQuery) -> ReleasesAnswer:
    """Return the app's releases, the newest first, including those that have ended."""
    app = apps.find(reader(), query.app)
    channel = apps.find_channel(app, query.channel) if query.channel else None
    platform = apps.find_platform(query.platform) if query.platform else None
    found = release_rows.listed(
        reader(),
        app,
        channel=channel,
        platform=platform,
        only_live=query.live,
        limit=query.limit,
        offset=query.offset,
    )
    return ReleasesAnswer(releases=[views.release_view(release) for release in found])


@blueprint.get("/api/releases/<int:release_id>")
@operation(
    Operation(access=Access.VIEW, summary="Look at a release", tag=MANAGING, answer=ReleaseHistoryAnswer)
)
def show(release_id: int) -> ReleaseHistoryAnswer:
    """Return a release with its whole history."""
    session, now = reader(), utcnow()
    release = release_rows.get(session, release_id)
    events = audit.history(session, subjects=[("release", release.id)], limit=1000)
    return ReleaseHistoryAnswer(
        release=views.release_view(release),
        version=views.version_view(release.version),
        stranded=devices.stranded(session, release.version, now=now),
        waits_for=plans.why_overdue(session, release, now=now),
        history=[release_views.event_view(event) for event in reversed(events)],
    )


@blueprint.patch("/api/releases/<int:release_id>")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Change a release's terms",
        tag=MANAGING,
        body=ReleaseEditRequest,
        answer=ReleaseAnswer,
    )
)
def edit(release_id: int, body: ReleaseEditRequest) -> ReleaseAnswer | tuple[ReleaseAnswer, int]:
    """Change the plan, groups, deadline, critical range or floor, or a start that is still ahead."""
    now, changes = utcnow(), _edit_of(body)
    with transaction() as session:
        release = release_rows.get(session, release_id)
        version_id = release.version_id

        def act() -> Release:
            return release_edits.edit(session, actor(), release, changes, revision=body.revision, now=now)

        outcome = approvals.or_propose(session, actor(), act, now=now)
    return act_answer(outcome, version_id, "The release is changed.", 200)


@blueprint.post("/api/releases/<int:release_id>/rollout")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Change the rollout",
        tag=MANAGING,
        body=RolloutRequest,
        answer=ReleaseAnswer,
    )
)
def set_rollout(release_id: int, body: RolloutRequest) -> ReleaseAnswer | tuple[ReleaseAnswer, int]:
    """Open a release to more devices or fewer, which ends its plan.

    Devices that have updated keep the version.
    """
    rollout, revision, now = body.rollout, body.revision, utcnow()
    with transaction() as session:
        release = release_rows.get(session, release_id)
        version_id, before = release.version_id, release.rollout

        def act() -> Release:
            return release_edits.set_rollout(session, actor(), release, rollout, revision=revision, now=now)

        outcome = approvals.or_propose(session, actor(), act, now=now)
    return act_answer(outcome, version_id, _rollout_message(rollout, before), 200)


@blueprint.post("/api/releases/<int:release_id>/advance")
@operation(release_act("Take a plan's next step now", body=RevisionRequest))
def advance(release_id: int, body: RevisionRequest) -> ReleaseAnswer:
    """Take the next step of the plan before the soak has passed."""
    with transaction() as session:
        release = release_rows.get(session, release_id)
        plans.advance(session, actor(), release, revision=body.revision, now=utcnow())
    return release_answer(release, f"The rollout is {release.rollout / 100:g} %.")


@blueprint.post("/api/releases/<int:release_id>/promote")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Promote to another channel",
        tag=MANAGING,
        body=PromoteRequest,
        answer=ReleaseAnswer,
        status=201,
    )
)
def promote(release_id: int, body: PromoteRequest) -> ReleaseAnswer | tuple[ReleaseAnswer, int]:
    """Offer the release's version on another channel too, with the same file."""
    now, terms = utcnow(), release_views.terms_of(body)
    with transaction() as session:
        release = release_rows.get(session, release_id)
        version_id, rollout = release.version_id, None if body.rollout is UNSET else body.rollout

        def act() -> Release:
            return release_acts.promote(
                session, actor(), release, body.channel, rollout=rollout, terms=terms, now=now
            )

        outcome = approvals.or_propose(session, actor(), act, now=now)
    return act_answer(outcome, version_id, f"The version is on {body.channel} too.")


def _rollout_message(rollout: int, before: int) -> str:
    kept = " Devices that already updated keep it." if rollout < before else ""
    return f"The rollout is {rollout / 100:g} %.{kept}"


def _edit_of(body: ReleaseEditRequest) -> ReleaseEdit:
    return ReleaseEdit(
        starts_at=body.starts_at or None,
        starts_now=body.starts_at is None,
        plan=None if body.plan is UNSET else release_views.plan_of(body.plan),
        groups=None if body.groups is UNSET else tuple(body.groups),
        mandatory_from=body.mandatory_from or None,
        clears_deadline=body.mandatory_from is None,
        critical_from=None if body.critical_from is UNSET else body.critical_from or "",
        critical_below=None if body.critical_below is UNSET else body.critical_below or "",
        is_floor=None if body.is_floor is UNSET else body.is_floor,
    )
