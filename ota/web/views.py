"""Views that several nouns share: from rows to shapes."""

from __future__ import annotations

from flask import url_for

from ota.builds import facts as build_facts
from ota.config import Settings
from ota.core.decision import Decision, NoUpdate, Reason
from ota.core.locales import best
from ota.models import Proposal, Release, Upload, Version
from ota.parts import part
from ota.web.shapes import (
    CheckAnswer,
    LatestAnswer,
    PlanStepShape,
    ProposalView,
    ReleaseView,
    UploadView,
    VersionView,
)

MESSAGES = {
    Reason.UPDATE_AVAILABLE: "New version available!",
    Reason.UP_TO_DATE: "You have the latest version.",
    Reason.AHEAD: "Your version is newer than any that is offered.",
    Reason.NO_RELEASE: "No version is offered yet.",
    Reason.NOT_IN_ROLLOUT: "A new version is on its way to a part of all devices first.",
    Reason.PAUSED: "The new version is paused at the moment.",
    Reason.HALTED: "The new version was stopped.",
    Reason.SHUT_OFF: "Updates are switched off at the moment.",
    Reason.OS_TOO_OLD: "The new version needs a newer operating system than yours.",
    Reason.ABI_UNSUPPORTED: "The new version has no code for this device's processor.",
    Reason.OTHER_SIGNER: (
        "The new version is signed by somebody else than yours: uninstall the app, then install it again."
    ),
    Reason.NOT_COMPARABLE: (
        "Send your build number too (1.0.0+7): the offered version's name can't be compared with yours."
    ),
}

BLOCKED = "An update is required, but none can be offered at the moment. Try again later."


def is_https() -> bool:
    """Return whether the public address of this server is https."""
    return public_url().startswith("https://")


def public_url() -> str:
    """Return the public address of this server, without a trailing slash."""
    settings = part(Settings)
    return settings.public_url


def download_url(version: Version) -> str:
    """Return the absolute address of the version's file."""
    return public_url() + version.download_url if version.is_hosted_here else version.download_url


def check_answer(
    decision: Decision, version: Version | None, notes: str | None = None, *, is_withdrawn: bool = False
) -> CheckAnswer:
    """Return the answer of the published protocol, with the reason.

    ``is_withdrawn``: the version that the device runs was withdrawn.
    """
    if isinstance(decision, NoUpdate) or version is None:
        is_blocked = isinstance(decision, NoUpdate) and decision.is_blocked
        return _no_update(decision.reason, is_blocked=is_blocked, is_withdrawn=is_withdrawn)
    return CheckAnswer(
        update_available=True,
        latest_version=version.version,
        version_code=version.version_code,
        download_url=download_url(version),
        file_size=version.file_size,
        checksum=version.checksum,
        release_notes=notes,
        is_mandatory=decision.is_mandatory,
        message=MESSAGES[decision.reason],
        reason=decision.reason,
        current_version_withdrawn=is_withdrawn,
    )


def _no_update(reason: Reason, *, is_blocked: bool, is_withdrawn: bool) -> CheckAnswer:
    return CheckAnswer(
        update_available=False,
        latest_version=None,
        version_code=None,
        download_url=None,
        file_size=None,
        checksum=None,
        release_notes=None,
        is_mandatory=False,
        message=BLOCKED if is_blocked else MESSAGES[reason],
        reason=reason,
        blocked=is_blocked,
        current_version_withdrawn=is_withdrawn,
    )


def notes_for(version: Version, locale: str | None) -> str | None:
    """Return the version's notes in the language, or else its general notes."""
    return best(version.localized_notes or {}, locale) or version.release_notes


def latest_answer(version: Version, locale: str | None = None) -> LatestAnswer:
    """Return the version as the newest one that is open to all devices."""
    return LatestAnswer(
        ok=True,
        version=version.version,
        version_code=version.version_code,
        platform=version.platform,
        download_url=download_url(version),
        file_size=version.file_size,
        checksum=version.checksum,
        release_notes=notes_for(version, locale),
        is_mandatory=version.is_mandatory,
        published_at=version.published_at,
        min_supported_version=version.min_supported_version,
        reason=Reason.UPDATE_AVAILABLE,
    )


def version_view(version: Version, *, is_listed: bool = False) -> VersionView:
    """Return a version. In a list it comes without the facts that were read from its file."""
    return VersionView(
        id=version.id,
        app=version.app.slug,
        version=version.version,
        version_code=version.version_code,
        platform=version.platform,
        min_supported_version=version.min_supported_version,
        download_url=download_url(version),
        file_size=version.file_size,
        checksum=version.checksum,
        release_notes=version.release_notes,
        localized_notes=version.localized_notes or {},
        is_mandatory=version.is_mandatory,
        is_active=version.is_active,
        created_at=version.created_at,
        published_at=version.published_at,
        withdrawn_at=version.withdrawn_at,
        package_id=version.package_id,
        revision=version.revision,
        releases=[release_view(release) for release in version.releases],
        build=None if is_listed else build_facts.facts_of(version),
    )


def release_view(release: Release) -> ReleaseView:
    """Return a release."""
    return ReleaseView(
        id=release.id,
        version_id=release.version_id,
        channel=release.channel.name,
        state=release.state,
        rollout=release.rollout,
        starts_at=release.starts_at,
        plan=[PlanStepShape(**step) for step in release.plan or ()],
        plan_step=release.plan_step,
        next_step_at=release.next_step_at,
        groups=[group.name for group in release.groups],
        mandatory_from=release.mandatory_from,
        critical_from=release.critical_from,
        critical_below=release.critical_below,
        is_floor=release.is_floor,
        experiment_id=release.experiment_id,
        bucket_from=release.bucket_from,
        reason=release.reason,
        created_at=release.created_at,
        created_by=release.created_by,
        ended_at=release.ended_at,
        revision=release.revision,
    )


def upload_view(upload: Upload) -> UploadView:
    """Return an upload, with its version once it is ready."""
    return UploadView(
        id=upload.id,
        status=upload.status,
        stage=upload.stage,
        reason=upload.reason,
        reason_code=upload.reason_code,
        status_url=public_url() + url_for("manage_uploads.show", upload_id=upload.id),
        file_name=upload.file_name,
        file_size=upload.size,
        created_at=upload.created_at,
        finished_at=upload.finished_at,
        version=version_view(upload.version) if upload.version else None,
    )


def proposal_view(proposal: Proposal) -> ProposalView:
    """Return a proposal."""
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
    """Return the message of an act that waits for approval, instead of "done"."""
    return f"Nothing is changed yet: another person has to approve proposal {proposal.id}. {proposal.summary}"
