"""The publish call of the published protocol: create or find a version, and offer it to all devices."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from ota.builds import fields, version_edits, versions
from ota.builds.version_edits import VersionEdit
from ota.builds.versions import VersionDraft
from ota.history.audit import Actor
from ota.models import App, Release, Version
from ota.releases import acts as release_acts
from ota.releases import drafts


def publish(
    session: Session, actor: Actor, app: App, draft: VersionDraft, changes: VersionEdit, *, now: datetime
) -> Release:
    """Create the version if its code is new, and offer it to all devices of the default channel.

    An existing version gets the notes and flags in ``changes``. Raises `Conflict` if the draft contradicts
    its name or its file, and otherwise as `acts.start`.
    """
    existing = versions.find_by_code(session, app, draft.platform, draft.version_code)
    if existing is None:
        if fields.checksum(draft.checksum) is None:
            raise drafts.missing_checksum()
        existing = versions.add(session, actor, app, draft, artifact=None, now=now)
    else:
        _check_same(existing, draft)
        version_edits.edit(session, actor, existing, changes, revision=None, now=now)
    return release_acts.start(session, actor, existing, now=now)


def _check_same(version: Version, draft: VersionDraft) -> None:
    checksum = fields.checksum(draft.checksum)
    address = "" if version.is_hosted_here else draft.download_url or ""
    differences = (
        draft.version.strip() != version.version,
        checksum is not None and checksum != version.checksum,
        draft.file_size is not None and draft.file_size != version.file_size,
        address != "" and address.strip() != version.download_url,
    )
    if any(differences):
        raise versions.taken(version)
