"""Edits of versions: release notes and flags, each one revision at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ota import catalogs
from ota.builds import fields, versions
from ota.db import compare_and_set
from ota.errors import Conflict, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionEdit:
    """The fields that people can change. None keeps a field, an empty text clears it.

    ``localized_notes`` by language tag: other languages stay, None or an empty text removes one.
    """

    release_notes: str | None = None
    is_mandatory: bool | None = None
    min_supported_version: str | None = None
    localized_notes: Mapping[str, str | None] | None = None


def edit(
    session: Session,
    actor: Actor,
    version: Version,
    changes: VersionEdit,
    *,
    revision: int | None,
    now: datetime,
) -> Version:
    """Change notes and flags. ``revision`` is the one that the editor saw; None means the present one.

    Raises `Invalid` for a malformed field, `Stale` with the present state if somebody else was faster.
    """
    values = _values(version, changes)
    before, after = _difference(version, values)
    advance(session, version, revision, values)
    if after:
        audit.record(
            session,
            actor,
            "version.edited",
            ("version", version.id),
            now=now,
            app_id=version.app_id,
            before=before,
            after={"version": version.version, **after},
        )
    return version


def advance(session: Session, version: Version, revision: int | None, values: dict[str, Any]) -> None:
    """Change a version's row, with compare-and-set on the revision that the caller saw. Every change goes
    through here.

    Raises `Stale`, or `NotFound` for a version that was deleted.
    """
    version_id, seen = version.id, version.revision if revision is None else revision
    catalogs.touch(session, version.app_id)
    if not compare_and_set(
        session, Version, {"id": version_id}, {"revision": seen}, {**values, "revision": seen + 1}
    ):
        versions.get(session, version_id)
        raise stale(version)


def stale(version: Version) -> Conflict:
    """Return the error for a revision that is no longer the present one, with the present state."""
    return Stale(
        f"Somebody else changed version {version.version} meanwhile. Look at its present state, then decide "
        "again.",
        current=versions.summary(version),
    )


def _values(version: Version, changes: VersionEdit) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if changes.release_notes is not None:
        values["release_notes"] = fields.release_notes(changes.release_notes)
    if changes.is_mandatory is not None:
        values["is_mandatory"] = changes.is_mandatory
    if changes.min_supported_version is not None:
        values["min_supported_version"] = fields.min_supported_version(changes.min_supported_version)
    if changes.localized_notes is not None:
        values["localized_notes"] = fields.localized_notes(version.localized_notes, changes.localized_notes)
    return values


def _difference(version: Version, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the changed fields before and after, for the history; of the notes by language only the changed
    ones.
    """
    before = {
        name: getattr(version, name) for name, value in values.items() if getattr(version, name) != value
    }
    after = {name: values[name] for name in before}
    if "localized_notes" in after:
        old, new = before["localized_notes"] or {}, after["localized_notes"] or {}
        changed = [tag for tag in sorted({*old, *new}) if old.get(tag) != new.get(tag)]
        before["localized_notes"] = {tag: old.get(tag) for tag in changed}
        after["localized_notes"] = {tag: new.get(tag) for tag in changed}
    return before, after
