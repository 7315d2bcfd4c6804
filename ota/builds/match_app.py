"""Match an upload to its app, and compare the fields of its form with the facts of its file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from ota.apps import apps
from ota.builds import signers, versions
from ota.builds.versions import VersionDraft
from ota.core.platforms import Scheme
from ota.core.preflight import other_signer
from ota.core.signers import break_in
from ota.errors import Conflict, Invalid, NotFound, Rejected
from ota.history.audit import Actor
from ota.models import App, Upload, Version
from ota.packages import PackageFacts

_FIRST_WITH_V2 = 24
"""API level of Android 7.0, the first that verifies signature scheme v2."""


@dataclass(frozen=True, slots=True)
class Match:
    """The app and the draft of a build. ``existing`` is the version with the same bytes, if there is one."""

    app: App
    draft: VersionDraft
    existing: Version | None


def match(session: Session, upload: Upload, facts: PackageFacts, sha256: str) -> Match:
    """Match the upload without writing. Raises `Rejected` with a message for the uploader."""
    draft = draft_of(upload, facts)
    app = choose_app(session, upload, facts)
    try:
        apps.check_package(session, app, facts.platform, facts.package_id)
        apps.find_channel(app, upload.channel)
        versions.check_draft(draft)
        _check_scheme(app, facts)
        _check_signer(session, app, facts)
    except Conflict as error:
        raise _other_package(error) from error
    except (Invalid, NotFound) as error:
        raise Rejected(
            error.code, f"{error.message} Correct the build or what was sent with it, then upload again."
        ) from error
    return Match(app, draft, same_version(session, app, draft, sha256))


def draft_of(upload: Upload, facts: PackageFacts) -> VersionDraft:
    """Return the version to add. Raises `Rejected` if form and file contradict, or lack a needed field."""
    _agree("platform", upload.declared_platform, facts.platform)
    _agree("version", upload.declared_version, facts.version)
    _agree("version code", upload.declared_version_code, facts.version_code)
    return VersionDraft(
        platform=facts.platform,
        version=_version_name(upload, facts),
        version_code=_version_code(upload, facts),
        release_notes=upload.release_notes,
        is_mandatory=upload.is_mandatory,
        min_supported_version=upload.min_supported_version,
        package_id=facts.package_id,
    )


def choose_app(session: Session, upload: Upload, facts: PackageFacts) -> App:
    """Return the app that the upload names, else the one with this package id, else the default app.

    The default app must have no other package id. Raises `Rejected` if no app or several apps qualify.
    """
    if upload.app is not None:
        return upload.app
    known = apps.with_package(session, facts.platform, facts.package_id)
    if len(known) == 1:
        return known[0]
    if len(known) > 1:
        slugs = ", ".join(app.slug for app in known)
        raise Rejected(
            "which_app",
            f"{facts.package_id} belongs to several apps here ({slugs}). Send `app` with the right slug.",
        )
    return _default_app(session, facts)


def same_version(session: Session, app: App, draft: VersionDraft, sha256: str) -> Version | None:
    """Return the version with this code and these bytes, if any. Raises `Rejected` if its bytes differ."""
    existing = versions.find_by_code(session, app, draft.platform, draft.version_code)
    if existing is None:
        return None
    if existing.checksum != sha256:
        taken = versions.taken(existing)
        raise Rejected(taken.code, taken.message)
    if not existing.is_hosted_here:
        raise Rejected(
            "lives_elsewhere",
            f"Version {existing.version} with these bytes was added by its address {existing.download_url}. "
            "Delete that version first, or build with a higher version code.",
        )
    return existing


def pin(session: Session, actor: Actor, app: App, facts: PackageFacts, *, now: datetime) -> None:
    """Pin the app's package id on this platform. Raises `Rejected` with both ids if the build has another."""
    try:
        apps.pin_package(session, actor, app, facts.platform, facts.package_id, now=now)
    except Conflict as error:
        raise _other_package(error) from error


def _check_scheme(app: App, facts: PackageFacts) -> None:
    if facts.signature.scheme is not Scheme.V1 or app.allows_v1_only:
        return
    if (facts.min_sdk or 1) >= _FIRST_WITH_V2:
        raise Rejected(
            "v1_only",
            "Signed with scheme v1 alone, which does not protect the whole file, "
            f"though it needs Android API level {facts.min_sdk}, which knows v2. "
            "Sign it with v2 or newer (apksigner does), or let an administrator allow it in the app's "
            "settings.",
        )


def _check_signer(session: Session, app: App, facts: PackageFacts) -> None:
    """Raise `Rejected` for a build that phones would refuse as an update, because of its signer."""
    broken = break_in(signers.signers_of(app.on(facts.platform)), facts.signature.ranges)
    if broken is not None:
        versions_of = signers.signed_versions(session, app.id, facts.platform)
        raise Rejected("other_signer", other_signer(facts.platform, *broken, versions_of.get(broken[0])))


def _version_name(upload: Upload, facts: PackageFacts) -> str:
    name = facts.version or upload.declared_version
    if not name:
        raise Rejected(
            "no_version",
            "The file names no version that can be read. Send it along as `version`, or set it in the build.",
        )
    return name


def _version_code(upload: Upload, facts: PackageFacts) -> int:
    code = facts.version_code if facts.version_code is not None else upload.declared_version_code
    if code is None:
        raise Rejected(
            "no_version_code",
            "The file's build number is not a whole number, and version codes are. "
            "Set one in the build (CFBundleVersion, versionCode), or send it along as `version_code`.",
        )
    return code


def _default_app(session: Session, facts: PackageFacts) -> App:
    try:
        default = apps.find(session, None)
    except NotFound as error:
        raise Rejected(
            "no_app", "There is no app on this server yet. Create one, then upload again."
        ) from error
    pinned = default.package_id(facts.platform)
    if pinned is not None and pinned != facts.package_id:
        raise Rejected(
            "unknown_package",
            f"No app here is {facts.package_id} on {facts.platform.label}. "
            "Create an app for it, or send `app` with the right slug.",
        )
    return default


def _other_package(error: Conflict) -> Rejected:
    return Rejected(
        error.code, f"{error.message} Upload the build to the app it belongs to, or build it with that id."
    )


def _agree(what: str, declared: object, found: object) -> None:
    if declared is None or found is None or str(declared) == str(found):
        return
    raise Rejected(
        "contradiction",
        f"The {what} that was sent is {declared}, but the file says {found}. "
        "Send the right file, or leave the field out.",
    )
