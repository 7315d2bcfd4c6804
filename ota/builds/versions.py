"""Versions: made from a build or from an address elsewhere, edited, looked up, deleted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from ota import catalogs
from ota.builds import fields
from ota.core.platforms import Platform
from ota.core.versions import MAX_VERSION_CODE
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, NotFound, OtaError, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Artifact, Release, Upload, Version
from ota.telemetry import failures

_WITH_RELEASES = selectinload(Version.releases).joinedload(Release.channel)
_WITH_FACTS = selectinload(Version.artifact).undefer(Artifact.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDraft:
    """What a new version shall be. Checked by `add`; ``checksum`` may carry a ``sha256:`` prefix. ``min_sdk``, ``min_os`` and ``abis``
    are for a file that nobody here reads."""

    platform: Platform
    version: str
    version_code: int
    download_url: str | None = None
    file_size: int | None = None
    checksum: str | None = None
    release_notes: str | None = None
    localized_notes: Mapping[str, str | None] = field(default_factory=dict)
    is_mandatory: bool = False
    min_supported_version: str | None = None
    package_id: str | None = None
    min_sdk: int | None = None
    min_os: str | None = None
    abis: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionEdit:
    """The fields that people may change; None leaves a field alone, an empty text clears it.

    ``localized_notes`` by language tag: languages that it doesn't name stay, None or an empty text removes one.
    """

    release_notes: str | None = None
    is_mandatory: bool | None = None
    min_supported_version: str | None = None
    localized_notes: Mapping[str, str | None] | None = None


def add(
    session: Session, actor: Actor, app: App, draft: VersionDraft, *, artifact: Artifact | None, now: datetime
) -> Version:
    """Make an inactive version, of our own bytes or of a file that lives at ``draft.download_url``.

    Raises `Invalid` for a draft that can't be, `Conflict` (``version_code_taken``) when the app has this code already.
    """
    existing = find_by_code(session, app, draft.platform, draft.version_code)
    if existing is not None:
        raise taken(existing)
    version = Version(
        app_id=app.id,
        platform=draft.platform,
        version=fields.name(draft.version),
        version_code=fields.version_code(draft.version_code),
        download_url=hosted_path(app, draft) if artifact else fields.download_url(draft.download_url),
        file_size=artifact.size if artifact else fields.file_size(draft.file_size),
        checksum=artifact.sha256 if artifact else fields.checksum(draft.checksum),
        release_notes=fields.release_notes(draft.release_notes),
        localized_notes=fields.localized_notes(None, draft.localized_notes),
        is_mandatory=draft.is_mandatory,
        min_supported_version=fields.min_supported_version(draft.min_supported_version),
        package_id=draft.package_id,
        **_needs(draft, artifact),
        artifact_id=artifact.id if artifact else None,
        created_at=now,
    )
    try:
        with session.begin_nested():
            session.add(version)
    except IntegrityError:
        winner = find_by_code(session, app, draft.platform, draft.version_code)
        raise (
            taken(winner)
            if winner
            else Conflict("version_not_saved", "The version could not be saved. Try again.")
        ) from None
    catalogs.touch(session, app.id)  # Who signed it may keep devices that run it from what is offered.
    after = {"version": version.version, "version_code": version.version_code, "platform": version.platform}
    audit.record(
        session, actor, "version.created", ("version", version.id), now=now, app_id=app.id, after=after
    )
    return version


def check_draft(draft: VersionDraft) -> None:
    """Raises `Invalid` for a draft of our own bytes that could not become a version."""
    fields.name(draft.version)
    fields.version_code(draft.version_code)
    check_texts(draft.release_notes, draft.min_supported_version)


def taken(existing: Version) -> OtaError:
    """The error that says who has a version code."""
    return Conflict(
        "version_code_taken",
        f"Version code {existing.version_code} on {Platform(existing.platform).label} already belongs to version "
        f"{existing.version}, which has other bytes. Build with a higher version code.",
        field="version_code",
        current=summary(existing),
    )


def edit(
    session: Session,
    actor: Actor,
    version: Version,
    changes: VersionEdit,
    *,
    revision: int | None,
    now: datetime,
) -> Version:
    """Change notes and flags. ``revision`` is the one the editor saw; None means the present one.

    Raises `Conflict` (``stale_revision``) with the present state when somebody was faster.
    """
    values: dict[str, Any] = {}
    if changes.release_notes is not None:
        values["release_notes"] = fields.release_notes(changes.release_notes)
    if changes.is_mandatory is not None:
        values["is_mandatory"] = changes.is_mandatory
    if changes.min_supported_version is not None:
        values["min_supported_version"] = fields.min_supported_version(changes.min_supported_version)
    if changes.localized_notes is not None:
        values["localized_notes"] = fields.localized_notes(version.localized_notes, changes.localized_notes)
    before = {
        name: getattr(version, name) for name, value in values.items() if getattr(version, name) != value
    }
    after = {name: values[name] for name in before}
    if "localized_notes" in after:
        before["localized_notes"], after["localized_notes"] = _languages(
            before["localized_notes"] or {}, after["localized_notes"] or {}
        )
    advance(session, version, revision, values)
    if after:
        subject, after = ("version", version.id), {"version": version.version, **after}
        audit.record(
            session,
            actor,
            "version.edited",
            subject,
            now=now,
            app_id=version.app_id,
            before=before,
            after=after,
        )
    return version


def _languages(
    before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Only the languages that differ: the history does not repeat forty texts for one of them."""
    changed = [tag for tag in sorted({*before, *after}) if before.get(tag) != after.get(tag)]
    return {tag: before.get(tag) for tag in changed}, {tag: after.get(tag) for tag in changed}


def advance(session: Session, version: Version, revision: int | None, values: dict[str, Any]) -> None:
    """The one way to change a version's row: compare-and-set on the revision that the caller saw."""
    version_id, seen = version.id, version.revision if revision is None else revision
    catalogs.touch(session, version.app_id)
    if not compare_and_set(
        session, Version, {"id": version_id}, {"revision": seen}, {**values, "revision": seen + 1}
    ):
        get(session, version_id)  # Gone altogether is said in other words.
        raise stale(version)


def stale(version: Version) -> Conflict:
    """The error that says that somebody was faster, with what is there now."""
    return Stale(
        f"Somebody else changed version {version.version} meanwhile. Look at its present state, then decide again.",
        current=summary(version),
    )


def delete(session: Session, actor: Actor, version: Version, *, now: datetime) -> None:
    """Forget a version that was never published. One that devices may have stays, since its history must."""
    session.refresh(
        version, with_for_update=True
    )  # Whoever publishes it at this moment comes first or finds it gone.
    if version.published_at is not None or version.releases:
        raise Conflict(
            "was_published",
            f"Version {version.version} was published, so devices may run it. Withdraw it instead of deleting it.",
            current=summary(version),
        )
    catalogs.touch(session, version.app_id)
    failures.forget_version(session, version.id)
    session.execute(update(Upload).where(Upload.version_id == version.id).values(version_id=None))
    before = {"version": version.version, "version_code": version.version_code, "platform": version.platform}
    audit.record(
        session,
        actor,
        "version.deleted",
        ("version", version.id),
        now=now,
        app_id=version.app_id,
        before=before,
    )
    session.delete(version)


def get(session: Session, version_id: int, *, app: App | None = None) -> Version:
    """Raises `NotFound`, also when the version belongs to another app than the given one."""
    query = select(Version).where(Version.id == version_id).options(_WITH_RELEASES, _WITH_FACTS)
    version = session.scalar(query) if version_id <= MAX_ID else None
    if version is None or (app is not None and version.app_id != app.id):
        raise NotFound("unknown_version", f"There is no version with the id {version_id}.")
    return version


def find_by_code(session: Session, app: App, platform: Platform, version_code: int) -> Version | None:
    if not 0 <= version_code <= MAX_VERSION_CODE:
        return None
    query = select(Version).where(
        Version.app_id == app.id, Version.platform == platform, Version.version_code == version_code
    )
    return session.scalar(query)


def require(session: Session, app: App, platform: Platform, version_code: int) -> Version:
    """Raises `NotFound`."""
    found = find_by_code(session, app, platform, version_code)
    if found is None:
        raise NotFound(
            "unknown_version", f"{app.name} has no version with the code {version_code} on {platform.label}."
        )
    return found


def newest(
    session: Session,
    app: App,
    *,
    platform: Platform | None = None,
    search: str = "",
    limit: int = 50,
    offset: int = 0,
) -> Sequence[Version]:
    """The app's versions, the one made last first; ``search`` looks in names, codes and notes."""
    query = select(Version).where(Version.app_id == app.id).options(_WITH_RELEASES)
    if platform is not None:
        query = query.where(Version.platform == platform)
    if search:
        pattern = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        matches: list[ColumnElement[bool]] = [
            Version.version.ilike(pattern, escape="\\"),
            Version.release_notes.ilike(pattern, escape="\\"),
        ]
        if search.isascii() and search.isdigit() and len(search) < 19:
            matches.append(Version.version_code == int(search))
        query = query.where(or_(*matches))
    return session.scalars(query.order_by(Version.id.desc()).limit(limit).offset(offset)).all()


def summary(version: Version) -> dict[str, Any]:
    """The present state in a few fields, for a conflict's ``current``."""
    return {
        "id": version.id,
        "version": version.version,
        "version_code": version.version_code,
        "platform": version.platform,
        "is_active": version.is_active,
        "is_mandatory": version.is_mandatory,
        "revision": version.revision,
    }


def file_name(app: App, platform: Platform, version: str, version_code: int) -> str:
    """The name that a download is saved under: only letters, digits, dots and hyphens."""
    safe = re.sub(r"[^0-9A-Za-z.]+", "-", version).strip("-.") or "version"
    return f"{app.slug}-{safe}-{version_code}{platform.file_suffix}"


def hosted_path(app: App, draft: VersionDraft) -> str:
    """Where our own bytes of this version are downloaded, below the base URL."""
    name = file_name(app, draft.platform, draft.version, draft.version_code)
    return f"/downloads/{app.slug}/{draft.platform}/{draft.version_code}/{name}"


def _needs(draft: VersionDraft, artifact: Artifact | None) -> dict[str, Any]:
    """What a device must have to install it: what its file says, else what the draft says."""
    if artifact is None:
        return {"min_sdk": draft.min_sdk, "min_os": draft.min_os, "abis": ",".join(draft.abis) or None}
    facts, abis = artifact.facts, ",".join(artifact.facts["abis"])
    return {
        "min_sdk": facts["min_sdk"],
        "min_os": (facts["minimum_os"] or "")[:20] or None,
        "abis": abis if 0 < len(abis) <= 200 else None,
    }


def check_texts(release_notes: str | None, min_supported_version: str | None) -> None:
    """Raises `Invalid` for notes or a bound that a version could not have."""
    fields.release_notes(release_notes)
    fields.min_supported_version(min_supported_version)
