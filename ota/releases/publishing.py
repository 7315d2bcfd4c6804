"""The seed's publish: one call that makes a version, or finds it, and offers it to everybody."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from ota.builds import fields, version_edits, versions
from ota.builds.version_edits import VersionEdit
from ota.builds.versions import VersionDraft
from ota.history.audit import Actor
from ota.models import App, Release, Version
from ota.releases import acts as release_acts


def publish(
    session: Session, actor: Actor, app: App, draft: VersionDraft, said: VersionEdit, *, now: datetime
) -> Release:
    """The seed's publish: make the version if it is new, and offer it to everybody on the default channel.

    A version that is already there is published only when what is sent doesn't contradict its file; the notes and
    flags that were ``said`` become its own.
    """
    existing = versions.find_by_code(session, app, draft.platform, draft.version_code)
    if existing is None:
        if fields.checksum(draft.checksum) is None:
            raise release_acts.no_checksum()
        existing = versions.add(session, actor, app, draft, artifact=None, now=now)
    else:
        _check_same(existing, draft)
        version_edits.edit(session, actor, existing, said, revision=None, now=now)
    return release_acts.start(session, actor, existing, now=now)


def _check_same(version: Version, draft: VersionDraft) -> None:
    checksum = fields.checksum(draft.checksum)
    differs = (
        checksum is not None and checksum != version.checksum
    ) or draft.version.strip() != version.version
    differs = differs or (draft.file_size is not None and draft.file_size != version.file_size)
    if not version.is_hosted_here and draft.download_url:
        differs = differs or draft.download_url.strip() != version.download_url
    if differs:
        raise versions.taken(version)
