"""Releases by program: the published protocol's publish and deactivate; starting, stopping and ending."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from msgspec import UNSET, Struct
from sqlalchemy.orm import Session

from ota import approvals
from ota.apps import apps
from ota.builds import versions
from ota.clock import utcnow
from ota.core.lifecycle import ReleaseState
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.models import App, Proposal, Release
from ota.releases import acts as release_acts
from ota.releases import publishing, watch
from ota.releases import rows as release_rows
from ota.web import views
from ota.web.access import actor
from ota.web.operation import DEVICES, MANAGING, Operation, operation
from ota.web.operation import act as declare_act
from ota.web.releases import views as release_views
from ota.web.releases.shapes import ReleaseAnswer, ReleaseRequest, RollbackRequest, StopRequest
from ota.web.shapes import PublishRequest, RevisionRequest, VersionAnswer

blueprint = Blueprint("manage_releases", __name__)


def release_act(
    summary: str,
    tag: str = MANAGING,
    body: type[Struct] = StopRequest,
    answer: type[Struct] = ReleaseAnswer,
    operation_id: str = "",
) -> Operation:
    """Declare an act on a release."""
    return declare_act(summary, tag=tag, body=body, answer=answer, operation_id=operation_id)


@blueprint.post("/api/updates/publish")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Publish a version",
        tag=DEVICES,
        body=PublishRequest,
        answer=ReleaseAnswer,
        status=201,
    )
)
def publish(body: PublishRequest) -> ReleaseAnswer | tuple[ReleaseAnswer, int]:
    """Create a version, or find one with this code, and offer it to all devices.

    ``download_url`` is the address of the file; an uploaded version needs none. Answers 202 if the channel
    requires another person's approval: the version is created, and the release waits.
    """
    now, platform = utcnow(), apps.find_platform(body.platform)
    with transaction() as session:
        app = apps.find(session, body.app)
        outcome = approvals.or_propose(session, actor(), lambda: _publish(session, app, body, now), now=now)
        version_id = versions.require(session, app, platform, body.version_code).id
    return act_answer(outcome, version_id, f"Version {body.version} is published.")


@blueprint.post("/api/updates/deactivate/<int:version_id>")
@operation(release_act("Deactivate a version", tag=DEVICES, body=RevisionRequest, answer=VersionAnswer))
def deactivate(version_id: int, body: RevisionRequest) -> VersionAnswer:
    """Remove a version from all answers. Devices that have installed it keep it; its download answers 410."""
    with transaction() as session:
        version = versions.get(session, version_id)
        release_acts.withdraw_version(session, actor(), version, revision=body.revision, now=utcnow())
    return VersionAnswer(
        version=views.version_view(version),
        message=f"Version {version.version} is withdrawn. Devices that already installed it keep it.",
    )


@blueprint.post("/api/updates/rollback")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Roll back the newest release",
        tag=DEVICES,
        body=RollbackRequest,
        answer=ReleaseAnswer,
    )
)
def roll_back_newest(body: RollbackRequest) -> ReleaseAnswer:
    """Roll back the release that a channel offers first, without its id: one call for scripts."""
    with transaction() as session:
        app, platform = apps.find(session, body.app), apps.find_platform(body.platform)
        release = release_acts.roll_back_newest(
            session, actor(), app, platform, body.channel, reason=body.reason, now=utcnow()
        )
    return release_answer(
        release,
        f"Version {release.version.version} is rolled back. Devices that already installed it keep it.",
    )


@blueprint.post("/api/versions/<int:version_id>/activate")
@operation(release_act("Offer to everybody", body=RevisionRequest))
def activate(version_id: int, body: RevisionRequest) -> ReleaseAnswer | tuple[ReleaseAnswer, int]:
    """Offer a version to all devices of the default channel, also one that was withdrawn."""
    return _start(version_id, ReleaseRequest(revision=body.revision), status=200)


@blueprint.post("/api/versions/<int:version_id>/releases")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Start a release",
        tag=MANAGING,
        body=ReleaseRequest,
        answer=ReleaseAnswer,
        status=201,
    )
)
def start(version_id: int, body: ReleaseRequest) -> ReleaseAnswer | tuple[ReleaseAnswer, int]:
    """Offer a version on a channel: to some of its devices or to all, now or later, at once or by a plan."""
    return _start(version_id, body, status=201)


@blueprint.post("/api/releases/<int:release_id>/pause")
@operation(release_act("Pause a release"))
def pause(release_id: int, body: StopRequest) -> ReleaseAnswer:
    """Stop new offers until the release is resumed."""
    return _change(release_id, body, ReleaseState.PAUSED, "The release is paused.")


@blueprint.post("/api/releases/<int:release_id>/resume")
@operation(release_act("Resume a release"))
def resume(release_id: int, body: StopRequest) -> ReleaseAnswer:
    """Offer a paused or halted release again."""
    return _change(release_id, body, ReleaseState.ACTIVE, "The release is offered again.")


@blueprint.post("/api/releases/<int:release_id>/halt")
@operation(release_act("Halt a release"))
def halt(release_id: int, body: StopRequest) -> ReleaseAnswer:
    """Stop new offers, as a monitoring program does, until a person resumes the release or rolls it back."""
    return _change(release_id, body, ReleaseState.HALTED, "The release is halted.")


@blueprint.post("/api/releases/<int:release_id>/rollback")
@operation(release_act("Roll a release back"))
def roll_back(release_id: int, body: StopRequest) -> ReleaseAnswer:
    """Remove the release from all answers, so that the previous one is offered again.

    Installed builds stay.
    """
    message = (
        "The release is rolled back. "
        "Devices that already installed the version keep it: platforms refuse older builds."
    )
    return _change(release_id, body, ReleaseState.ROLLED_BACK, message)


@blueprint.post("/api/releases/<int:release_id>/withdraw")
@operation(release_act("Withdraw a release"))
def withdraw(release_id: int, body: StopRequest) -> ReleaseAnswer:
    """Remove the release from all answers.

    The download answers 410 once no live release of the version is left.
    """
    return _change(release_id, body, ReleaseState.WITHDRAWN, "The release is withdrawn.")


@blueprint.post("/api/releases/<int:release_id>/test-anew")
@operation(release_act("Begin a new health test", operation_id="manage_health_begin_anew"))
def begin_anew(release_id: int, body: StopRequest) -> ReleaseAnswer:
    """Let a release go on that was found bad and is not stopped. The findings so far no longer count."""
    with transaction() as session:
        release = watch.begin_new_test(
            session, actor(), release_rows.get(session, release_id), revision=body.revision, now=utcnow()
        )
    return release_answer(release, "A new test has begun, with the devices that come from now on.")


def release_answer(release: Release, message: str) -> ReleaseAnswer:
    """Return the answer about a release that was changed."""
    fresh = release_rows.get(reader(), release.id)
    return ReleaseAnswer(
        release=views.release_view(fresh), version=views.version_view(fresh.version), message=message
    )


def act_answer(
    outcome: Release | Proposal, version_id: int, message: str, status: int = 201
) -> tuple[ReleaseAnswer, int]:
    """Return the answer about an act that was done, or that waits for another person."""
    if isinstance(outcome, Release):
        return release_answer(outcome, message), status
    version = views.version_view(versions.get(reader(), version_id))
    proposal = views.proposal_view(outcome)
    return ReleaseAnswer(release=None, version=version, message=views.waits(outcome), proposal=proposal), 202


def _publish(session: Session, app: App, body: PublishRequest, now: datetime) -> Release:
    draft, changes = release_views.version_draft_of(body), release_views.version_edit_of(body)
    return publishing.publish(session, actor(), app, draft, changes, now=now)


def _start(version_id: int, body: ReleaseRequest, *, status: int) -> tuple[ReleaseAnswer, int]:
    now, terms = utcnow(), release_views.terms_of(body)
    with transaction() as session:
        version = versions.get(session, version_id)
        name = version.version

        def act() -> Release:
            return release_acts.start(
                session,
                actor(),
                version,
                channel=body.channel,
                rollout=None if body.rollout is UNSET else body.rollout,
                terms=terms,
                revision=body.revision,
                now=now,
            )

        outcome = approvals.or_propose(session, actor(), act, now=now)
    return act_answer(outcome, version_id, f"Version {name} is published.", status)


def _change(release_id: int, body: StopRequest, state: ReleaseState, message: str) -> ReleaseAnswer:
    with transaction() as session:
        release = release_rows.get(session, release_id)
        release_acts.change_state(
            session, actor(), release, state, revision=body.revision, reason=body.reason, now=utcnow()
        )
    return release_answer(release, message)
