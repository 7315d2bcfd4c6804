"""Where a build belongs, and whether what was said about it agrees with what it says itself."""

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

_V1_IS_ENOUGH_BELOW = 24
"""Android 7.0 verifies scheme v2."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a build goes. ``existing`` is the version that these very bytes already are."""

    app: App
    draft: VersionDraft
    existing: Version | None


def place(session: Session, upload: Upload, facts: PackageFacts, sha256: str) -> Place:
    """Decide it all without writing. Raises `Rejected` with the sentence for the uploader."""
    draft = draft_of(upload, facts)
    app = choose_app(session, upload, facts)
    try:
        apps.check_package(session, app, facts.platform, facts.package_id)
        apps.find_channel(app, upload.channel)
        versions.check_draft(draft)
        _check_signer(session, app, facts)
    except Conflict as error:
        raise _other_package(error) from error
    except (Invalid, NotFound) as error:
        raise Rejected(
            error.code, f"{error.message} Correct the build or what was sent with it, then upload again."
        ) from error
    return Place(app, draft, same_version(session, app, draft, sha256))


def _check_signer(session: Session, app: App, facts: PackageFacts) -> None:
    """Raises `Rejected` for a build that phones would refuse as an update, and for a v1-only one where that is not allowed."""
    signature = facts.signature
    if (
        signature.scheme is Scheme.V1
        and not app.allows_v1_only
        and (facts.min_sdk or 1) >= _V1_IS_ENOUGH_BELOW
    ):
        raise Rejected(
            "v1_only",
            f"Signed with scheme v1 alone, which does not protect the whole file, though it needs Android API level {facts.min_sdk}, "
            "which knows v2. Sign it with v2 or newer (apksigner does), or let an administrator allow it in the app's settings.",
        )
    broken = break_in(signers.signers_of(app.on(facts.platform)), signature.ranges)
    if broken is not None:
        versions_of = signers.signed_versions(session, app.id, facts.platform)
        raise Rejected("other_signer", other_signer(facts.platform, *broken, versions_of.get(broken[0])))


def same_version(session: Session, app: App, draft: VersionDraft, sha256: str) -> Version | None:
    """The version that has this code, if it has these bytes, here. Raises `Rejected` when it has others."""
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


def draft_of(upload: Upload, facts: PackageFacts) -> VersionDraft:
    """The version to make. Raises `Rejected` where the form contradicts the file, or neither says what is needed."""
    _agree("platform", upload.declared_platform, facts.platform)
    _agree("version", upload.declared_version, facts.version)
    _agree("version code", upload.declared_version_code, facts.version_code)
    version = facts.version or upload.declared_version
    code = facts.version_code if facts.version_code is not None else upload.declared_version_code
    if not version:
        raise Rejected(
            "no_version",
            "The file names no version that can be read. Send it along as `version`, or set it in the build.",
        )
    if code is None:
        raise Rejected(
            "no_version_code",
            "The file's build number is not a whole number, and version codes are. Set one in the build (CFBundleVersion, "
            "versionCode), or send it along as `version_code`.",
        )
    return VersionDraft(
        platform=facts.platform,
        version=version,
        version_code=code,
        release_notes=upload.release_notes,
        is_mandatory=upload.is_mandatory,
        min_supported_version=upload.min_supported_version,
        package_id=facts.package_id,
    )


def choose_app(session: Session, upload: Upload, facts: PackageFacts) -> App:
    """The app that was named; else the one with this package id; else the default app if it has none yet."""
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
            f"No app here is {facts.package_id} on {facts.platform.label}. Create an app for it, or send `app` with the right slug.",
        )
    return default


def pin(session: Session, actor: Actor, app: App, facts: PackageFacts, *, now: datetime) -> None:
    """Hold the app to one package id per platform. Raises `Rejected` with both ids when the build has another."""
    try:
        apps.pin_package(session, actor, app, facts.platform, facts.package_id, now=now)
    except Conflict as error:
        raise _other_package(error) from error


def _other_package(error: Conflict) -> Rejected:
    return Rejected(
        error.code, f"{error.message} Upload the build to the app it belongs to, or build it with that id."
    )


def _agree(what: str, declared: object, found: object) -> None:
    if declared is None or found is None or str(declared) == str(found):
        return
    raise Rejected(
        "contradiction",
        f"The {what} that was sent is {declared}, but the file says {found}. Send the right file, or leave the field out.",
    )
