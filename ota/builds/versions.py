"""Versions: add one from a build or an external file, look it up, delete it.

`ota.builds.version_edits` changes one.
"""

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
from ota.db import MAX_ID
from ota.errors import Conflict, NotFound, OtaError
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Artifact, Channel, Release, Upload, Version
from ota.telemetry import failures

_WITH_RELEASES = selectinload(Version.releases).joinedload(Release.channel)
_WITH_FACTS = selectinload(Version.artifact).undefer(Artifact.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDraft:
    """The fields of a version to add, checked by `add`. ``checksum`` can carry a ``sha256:`` prefix.

    ``min_sdk``, ``min_os`` and ``abis`` are for external files, which this server does not read.
    """

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


def add(
    session: Session, actor: Actor, app: App, draft: VersionDraft, *, artifact: Artifact | None, now: datetime
) -> Version:
    """Add an inactive version, of an artifact or of an external file at ``draft.download_url``.

    Raises `Invalid` for a malformed draft, `Conflict` (``version_code_taken``) if the app already has this
    code.
    """
    existing = find_by_code(session, app, draft.platform, draft.version_code)
    if existing is not None:
        raise taken(existing)
    version = _row(app, draft, artifact, now)
    try:
        with session.begin_nested():
            session.add(version)
    except IntegrityError:
        raise _lost_race(session, app, draft) from None
    catalogs.touch(session, app.id)  # Its signer can keep devices that run it from what is offered.
    subject, after = ("version", version.id), _name_of(version)
    audit.record(session, actor, "version.created", subject, now=now, app_id=app.id, after=after)
    return version


def check_draft(draft: VersionDraft) -> None:
    """Raise `Invalid` for the draft of an uploaded build that `add` would refuse."""
    fields.name(draft.version)
    fields.version_code(draft.version_code)
    fields.release_notes(draft.release_notes)
    fields.min_supported_version(draft.min_supported_version)


def taken(existing: Version) -> OtaError:
    """Return the error for a version code that belongs to another version."""
    return Conflict(
        "version_code_taken",
        f"Version code {existing.version_code} on {Platform(existing.platform).label} already belongs to "
        "version "
        f"{existing.version}, which has other bytes. Build with a higher version code.",
        field="version_code",
        current=summary(existing),
    )


def delete(session: Session, actor: Actor, version: Version, *, now: datetime) -> None:
    """Delete a version that was never published.

    Raises `Conflict` for one that devices may run: its history must stay.
    """
    # The lock decides a race with a publisher: either the release is seen here, or the publisher finds no
    # version.
    session.refresh(version, with_for_update=True)
    if version.published_at is not None or version.releases:
        raise Conflict(
            "was_published",
            f"Version {version.version} was published, so devices may run it. Withdraw it instead of "
            "deleting it.",
            current=summary(version),
        )
    catalogs.touch(session, version.app_id)
    failures.forget_version(session, version.id)
    session.execute(update(Upload).where(Upload.version_id == version.id).values(version_id=None))
    subject, before = ("version", version.id), _name_of(version)
    audit.record(session, actor, "version.deleted", subject, now=now, app_id=version.app_id, before=before)
    session.delete(version)


def get(session: Session, version_id: int, *, app: App | None = None) -> Version:
    """Return a version. Raises `NotFound`, also for a version of another app than the given one."""
    query = select(Version).where(Version.id == version_id).options(_WITH_RELEASES, _WITH_FACTS)
    version = session.scalar(query) if version_id <= MAX_ID else None
    if version is None or (app is not None and version.app_id != app.id):
        raise NotFound("unknown_version", f"There is no version with the id {version_id}.")
    return version


def find_by_code(session: Session, app: App, platform: Platform, version_code: int) -> Version | None:
    """Return the app's version with this code, if there is one."""
    if not 0 <= version_code <= MAX_VERSION_CODE:
        return None
    query = select(Version).where(
        Version.app_id == app.id, Version.platform == platform, Version.version_code == version_code
    )
    return session.scalar(query)


def require(session: Session, app: App, platform: Platform, version_code: int) -> Version:
    """Return the app's version with this code. Raises `NotFound`."""
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
    """Return the app's versions, the last added first. ``search`` matches names, codes and notes."""
    query = select(Version).where(Version.app_id == app.id).options(_WITH_RELEASES)
    if platform is not None:
        query = query.where(Version.platform == platform)
    if search:
        query = query.where(_matches(search))
    return session.scalars(query.order_by(Version.id.desc()).limit(limit).offset(offset)).all()


def channels_without(version: Version) -> list[Channel]:
    """Return the app's channels without a live release of the version, not counting arms of experiments."""
    occupied = {each.channel_id for each in version.releases if each.is_live and each.experiment_id is None}
    return [channel for channel in version.app.channels if channel.id not in occupied]


def summary(version: Version) -> dict[str, Any]:
    """Return the present state in a few fields, as ``current`` of a conflict."""
    return {
        "id": version.id,
        "version": version.version,
        "version_code": version.version_code,
        "platform": version.platform,
        "is_active": version.is_active,
        "is_mandatory": version.is_mandatory,
        "revision": version.revision,
    }


def _row(app: App, draft: VersionDraft, artifact: Artifact | None, now: datetime) -> Version:
    return Version(
        app_id=app.id,
        platform=draft.platform,
        version=fields.name(draft.version),
        version_code=fields.version_code(draft.version_code),
        download_url=_hosted_path(app, draft) if artifact else fields.download_url(draft.download_url),
        file_size=artifact.size if artifact else fields.file_size(draft.file_size),
        checksum=artifact.sha256 if artifact else fields.checksum(draft.checksum),
        release_notes=fields.release_notes(draft.release_notes),
        localized_notes=fields.localized_notes(None, draft.localized_notes),
        is_mandatory=draft.is_mandatory,
        min_supported_version=fields.min_supported_version(draft.min_supported_version),
        package_id=draft.package_id,
        **_requirements(draft, artifact),
        artifact_id=artifact.id if artifact else None,
        created_at=now,
    )


def _hosted_path(app: App, draft: VersionDraft) -> str:
    """Return the path of an artifact's download, with a file name of letters, digits, dots and hyphens."""
    safe = re.sub(r"[^0-9A-Za-z.]+", "-", draft.version).strip("-.") or "version"
    name = f"{app.slug}-{safe}-{draft.version_code}{draft.platform.file_suffix}"
    return f"/downloads/{app.slug}/{draft.platform}/{draft.version_code}/{name}"


def _requirements(draft: VersionDraft, artifact: Artifact | None) -> dict[str, Any]:
    """Return what a device needs to install the version: from the file's facts, or else from the draft."""
    if artifact is None:
        return {"min_sdk": draft.min_sdk, "min_os": draft.min_os, "abis": ",".join(draft.abis) or None}
    facts, abis = artifact.facts, ",".join(artifact.facts["abis"])
    return {
        "min_sdk": facts["min_sdk"],
        "min_os": (facts["minimum_os"] or "")[:20] or None,
        "abis": abis if 0 < len(abis) <= 200 else None,
    }


def _lost_race(session: Session, app: App, draft: VersionDraft) -> OtaError:
    winner = find_by_code(session, app, draft.platform, draft.version_code)
    if winner is not None:
        return taken(winner)
    return Conflict("version_not_saved", "The version could not be saved. Try again.")


def _name_of(version: Version) -> dict[str, Any]:
    return {"version": version.version, "version_code": version.version_code, "platform": version.platform}


def _matches(search: str) -> ColumnElement[bool]:
    pattern = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    matches: list[ColumnElement[bool]] = [
        Version.version.ilike(pattern, escape="\\"),
        Version.release_notes.ilike(pattern, escape="\\"),
    ]
    if search.isascii() and search.isdigit() and len(search) < 19:
        matches.append(Version.version_code == int(search))
    return or_(*matches)
