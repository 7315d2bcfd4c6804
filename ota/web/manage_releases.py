"""Managing releases by program: the seed's publish and deactivate, and the verbs of a release."""

from __future__ import annotations

from flask import Blueprint
from msgspec import Struct

from ota.clock import utcnow
from ota.core.lifecycle import ReleaseState
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.models import Release
from ota.services import apps, publishing, releases, versions
from ota.services.versions import VersionDraft, VersionEdit
from ota.web import present
from ota.web.access import actor
from ota.web.api import DEVICES, MANAGING, Operation, operation
from ota.web.schemas import PublishRequest, ReleaseAnswer, ReleaseRequest, RevisionRequest, RolloutRequest, VersionAnswer

blueprint = Blueprint("manage_releases", __name__)


def _verb(summary: str, tag: str = MANAGING, answer: type[Struct] = ReleaseAnswer) -> Operation:
    return Operation(access=Access.PUBLISH, summary=summary, tag=tag, body=RevisionRequest, is_body_optional=True, answer=answer)


@blueprint.post("/api/updates/publish")
@operation(
    Operation(access=Access.PUBLISH, summary="Publish a version", tag=DEVICES, body=PublishRequest, answer=ReleaseAnswer, status=201)
)
def publish(body: PublishRequest) -> ReleaseAnswer:
    """Make a version whose file lives at ``download_url`` (or find the uploaded one with this code) and offer it to all."""
    draft = VersionDraft(
        platform=apps.find_platform(body.platform), version=body.version, version_code=body.version_code,
        download_url=body.download_url, file_size=body.file_size, checksum=body.checksum, release_notes=body.release_notes,
        is_mandatory=bool(body.is_mandatory), min_supported_version=body.min_supported_version,
    )  # fmt: skip
    said = VersionEdit(release_notes=body.release_notes, is_mandatory=body.is_mandatory, min_supported_version=body.min_supported_version)
    with transaction() as session:
        app = apps.find(session, body.app)
        release = publishing.publish(session, actor(), app, draft, said, now=utcnow())
    return _answer(release, f"Version {release.version.version} is published.")


@blueprint.post("/api/updates/deactivate/<int:version_id>")
@operation(_verb("Deactivate a version", tag=DEVICES, answer=VersionAnswer))
def deactivate(version_id: int, body: RevisionRequest) -> VersionAnswer:
    """Take a version out of all answers. Devices that have installed it keep it; its download answers 410."""
    with transaction() as session:
        version = versions.get(session, version_id)
        releases.withdraw_version(session, actor(), version, revision=body.revision, now=utcnow())
    return VersionAnswer(
        version=present.version_view(version),
        message=f"Version {version.version} is withdrawn. Devices that already installed it keep it.",
    )


@blueprint.post("/api/versions/<int:version_id>/activate")
@operation(_verb("Offer to everybody"))
def activate(version_id: int, body: RevisionRequest) -> ReleaseAnswer:
    """Offer a version to everybody on the default channel, also one that was withdrawn."""
    with transaction() as session:
        release = releases.start(session, actor(), versions.get(session, version_id), revision=body.revision, now=utcnow())
    return _answer(release, f"Version {release.version.version} is published.")


@blueprint.post("/api/versions/<int:version_id>/releases")
@operation(Operation(access=Access.PUBLISH, summary="Start a release", tag=MANAGING, body=ReleaseRequest, answer=ReleaseAnswer, status=201))
def start(version_id: int, body: ReleaseRequest) -> ReleaseAnswer:
    """Offer a version on a channel to a part of its devices or to all."""
    with transaction() as session:
        release = releases.start(
            session, actor(), versions.get(session, version_id),
            channel=body.channel, rollout=body.rollout, revision=body.revision, now=utcnow(),
        )  # fmt: skip
    return _answer(release, f"Version {release.version.version} is on {release.channel.name}.")


@blueprint.post("/api/releases/<int:release_id>/rollout")
@operation(Operation(access=Access.PUBLISH, summary="Change the rollout", tag=MANAGING, body=RolloutRequest, answer=ReleaseAnswer))
def set_rollout(release_id: int, body: RolloutRequest) -> ReleaseAnswer:
    """Open a release to more devices or fewer. Devices that already updated keep what they have."""
    with transaction() as session:
        release = releases.get(session, release_id)
        releases.set_rollout(session, actor(), release, body.rollout, revision=body.revision, now=utcnow())
    return _answer(release, f"The rollout is {body.rollout / 100:g} %.")


@blueprint.post("/api/releases/<int:release_id>/pause")
@operation(_verb("Pause a release"))
def pause(release_id: int, body: RevisionRequest) -> ReleaseAnswer:
    """No new offers until it is resumed."""
    return _change(release_id, body, ReleaseState.PAUSED, "The release is paused.")


@blueprint.post("/api/releases/<int:release_id>/resume")
@operation(_verb("Resume a release"))
def resume(release_id: int, body: RevisionRequest) -> ReleaseAnswer:
    """Offer a paused or halted release again."""
    return _change(release_id, body, ReleaseState.ACTIVE, "The release is offered again.")


@blueprint.post("/api/releases/<int:release_id>/halt")
@operation(_verb("Halt a release"))
def halt(release_id: int, body: RevisionRequest) -> ReleaseAnswer:
    """What a monitor does when the numbers are bad: no new offers until a person resumes or rolls back."""
    return _change(release_id, body, ReleaseState.HALTED, "The release is halted.")


@blueprint.post("/api/releases/<int:release_id>/rollback")
@operation(_verb("Roll a release back"))
def roll_back(release_id: int, body: RevisionRequest) -> ReleaseAnswer:
    """Take the release out of all answers; the release before it is offered again. Installed builds stay installed."""
    message = "The release is rolled back. Devices that already installed the version keep it: platforms refuse older builds."
    return _change(release_id, body, ReleaseState.ROLLED_BACK, message)


@blueprint.post("/api/releases/<int:release_id>/withdraw")
@operation(_verb("Withdraw a release"))
def withdraw(release_id: int, body: RevisionRequest) -> ReleaseAnswer:
    """Take the release out of all answers; the version's download answers 410 once nothing else offers it."""
    return _change(release_id, body, ReleaseState.WITHDRAWN, "The release is withdrawn.")


def _change(release_id: int, body: RevisionRequest, state: ReleaseState, message: str) -> ReleaseAnswer:
    with transaction() as session:
        release = releases.get(session, release_id)
        releases.change_state(session, actor(), release, state, revision=body.revision, now=utcnow())
    return _answer(release, message)


def _answer(release: Release, message: str) -> ReleaseAnswer:
    fresh = releases.get(reader(), release.id)
    return ReleaseAnswer(release=present.release_view(fresh), version=present.version_view(fresh.version), message=message)
