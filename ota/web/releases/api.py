"""Managing releases by program: the seed's publish and deactivate, and the verbs that stop a release."""

from __future__ import annotations

from flask import Blueprint
from msgspec import UNSET, Struct

from ota import approvals
from ota.apps import apps
from ota.builds import versions
from ota.builds.version_edits import VersionEdit
from ota.builds.versions import VersionDraft
from ota.clock import utcnow
from ota.core.lifecycle import ReleaseState
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.models import Proposal, Release
from ota.releases import acts as release_acts
from ota.releases import publishing, watch
from ota.releases import rows as release_rows
from ota.web import views
from ota.web.access import actor
from ota.web.operation import DEVICES, MANAGING, Operation, act, operation
from ota.web.releases import views as release_views
from ota.web.releases.shapes import ReleaseAnswer, ReleaseRequest, RollbackRequest, StopRequest
from ota.web.shapes import PublishRequest, RevisionRequest, VersionAnswer

blueprint = Blueprint("manage_releases", __name__)


def verb(
    summary: str,
    tag: str = MANAGING,
    body: type[Struct] = StopRequest,
    answer: type[Struct] = ReleaseAnswer,
    operation_id: str = "",
) -> Operation:
    """Declare an act on a release."""
    return act(summary, tag=tag, body=body, answer=answer, operation_id=operation_id)


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
    """Make a version whose file lives at ``download_url`` (or find the uploaded one with this code) and offer it to all.

    202 when the channel asks for another person's approval: the version is made, and the release waits.
    """
    draft = VersionDraft(
        platform=apps.find_platform(body.platform),
        version=body.version,
        version_code=body.version_code,
        download_url=body.download_url,
        file_size=body.file_size,
        checksum=body.checksum,
        release_notes=body.release_notes,
        is_mandatory=bool(body.is_mandatory),
        min_supported_version=body.min_supported_version,
        min_sdk=body.min_sdk,
        min_os=body.min_os,
        localized_notes=body.localized_notes or {},
    )
    said = VersionEdit(
        release_notes=body.release_notes,
        is_mandatory=body.is_mandatory,
        min_supported_version=body.min_supported_version,
        localized_notes=body.localized_notes,
    )
    now = utcnow()
    with transaction() as session:
        app = apps.find(session, body.app)
        outcome = approvals.or_propose(
            session, actor(), lambda: publishing.publish(session, actor(), app, draft, said, now=now), now=now
        )
        version_id = versions.require(session, app, draft.platform, draft.version_code).id
    return answer(outcome, version_id, f"Version {body.version} is published.")


@blueprint.post("/api/updates/deactivate/<int:version_id>")
@operation(verb("Deactivate a version", tag=DEVICES, body=RevisionRequest, answer=VersionAnswer))
def deactivate(version_id: int, body: RevisionRequest) -> VersionAnswer:
    """Take a version out of all answers. Devices that have installed it keep it; its download answers 410."""
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
    """Roll back what a channel offers first, without knowing its id: one call for scripts."""
    with transaction() as session:
        app, platform = apps.find(session, body.app), apps.find_platform(body.platform)
        release = release_acts.roll_back_newest(
            session, actor(), app, platform, body.channel, reason=body.reason, now=utcnow()
        )
    return done(
        release,
        f"Version {release.version.version} is rolled back. Devices that already installed it keep it.",
    )


@blueprint.post("/api/versions/<int:version_id>/activate")
@operation(verb("Offer to everybody", body=RevisionRequest))
def activate(version_id: int, body: RevisionRequest) -> ReleaseAnswer | tuple[ReleaseAnswer, int]:
    """Offer a version to everybody on the default channel, also one that was withdrawn."""
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
    """Offer a version on a channel: to a part of its devices or to all, now or later, in one step or along a plan."""
    return _start(version_id, body, status=201)


@blueprint.post("/api/releases/<int:release_id>/pause")
@operation(verb("Pause a release"))
def pause(release_id: int, body: StopRequest) -> ReleaseAnswer:
    """No new offers until it is resumed."""
    return _change(release_id, body, ReleaseState.PAUSED, "The release is paused.")


@blueprint.post("/api/releases/<int:release_id>/resume")
@operation(verb("Resume a release"))
def resume(release_id: int, body: StopRequest) -> ReleaseAnswer:
    """Offer a paused or halted release again."""
    return _change(release_id, body, ReleaseState.ACTIVE, "The release is offered again.")


@blueprint.post("/api/releases/<int:release_id>/halt")
@operation(verb("Halt a release"))
def halt(release_id: int, body: StopRequest) -> ReleaseAnswer:
    """What a monitor does when the numbers are bad: no new offers until a person resumes or rolls back."""
    return _change(release_id, body, ReleaseState.HALTED, "The release is halted.")


@blueprint.post("/api/releases/<int:release_id>/rollback")
@operation(verb("Roll a release back"))
def roll_back(release_id: int, body: StopRequest) -> ReleaseAnswer:
    """Take the release out of all answers; the release before it is offered again. Installed builds stay installed."""
    message = "The release is rolled back. Devices that already installed the version keep it: platforms refuse older builds."
    return _change(release_id, body, ReleaseState.ROLLED_BACK, message)


@blueprint.post("/api/releases/<int:release_id>/withdraw")
@operation(verb("Withdraw a release"))
def withdraw(release_id: int, body: StopRequest) -> ReleaseAnswer:
    """Take the release out of all answers; the version's download answers 410 once nothing else offers it."""
    return _change(release_id, body, ReleaseState.WITHDRAWN, "The release is withdrawn.")


@blueprint.post("/api/releases/<int:release_id>/test-anew")
@operation(verb("Begin a new health test", operation_id="manage_health_begin_anew"))
def begin_anew(release_id: int, body: StopRequest) -> ReleaseAnswer:
    """You have looked at a release that was found bad and is not stopped, and let it go on: what was found so far counts no more."""
    with transaction() as session:
        release = watch.begin_new_test(
            session, actor(), release_rows.get(session, release_id), revision=body.revision, now=utcnow()
        )
    return done(release, "A new test has begun, with the devices that come from now on.")


def done(release: Release, message: str) -> ReleaseAnswer:
    """What is answered about a release that was changed."""
    fresh = release_rows.get(reader(), release.id)
    return ReleaseAnswer(
        release=views.release_view(fresh), version=views.version_view(fresh.version), message=message
    )


def answer(
    outcome: Release | Proposal, version_id: int, message: str, status: int = 201
) -> tuple[ReleaseAnswer, int]:
    """What is answered about an act that was done, or that waits for another person."""
    if isinstance(outcome, Release):
        return done(outcome, message), status
    version = views.version_view(versions.get(reader(), version_id))
    proposal = views.proposal_view(outcome)
    return ReleaseAnswer(release=None, version=version, message=views.waits(outcome), proposal=proposal), 202


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
    return answer(outcome, version_id, f"Version {name} is published.", status)


def _change(release_id: int, body: StopRequest, state: ReleaseState, message: str) -> ReleaseAnswer:
    with transaction() as session:
        release = release_rows.get(session, release_id)
        release_acts.change_state(
            session, actor(), release, state, revision=body.revision, reason=body.reason, now=utcnow()
        )
    return done(release, message)
