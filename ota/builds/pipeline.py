"""The steps that turn an upload into a version: measure, match, examine, store, add the version.

`ota.builds.worker` runs them in this order. `ota.builds.leases` decides which worker may.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ota.builds import facts as build_facts
from ota.builds import leases, match_app, versions
from ota.builds.leases import Lease
from ota.builds.match_app import Match
from ota.core.lifecycle import UploadStatus
from ota.core.permissions import Role
from ota.errors import Conflict, Rejected
from ota.history import audit
from ota.history.audit import Actor
from ota.models import Artifact, Version
from ota.packages import PackageFacts

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """The lower-case SHA-256 of a file and its size in bytes."""

    sha256: str
    size: int


def measure(path: Path) -> Measured:
    """Return SHA-256 and size, in one pass over the file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return Measured(digest.hexdigest(), size)


def note_app(session: Session, lease: Lease, facts: PackageFacts) -> None:
    """Write the file's app into the upload early, so that a rejection is announced to that app's people.

    Leave it empty for a file that matches no app; `examine` then states why. Raises `LeaseLost`.
    """
    upload = leases.held(session, lease)
    if upload.app_id is None:
        with suppress(Rejected):
            app = match_app.choose_app(session, upload, facts)
            leases.write(session, lease, {"app_id": app.id})


def examine(session: Session, lease: Lease, facts: PackageFacts, measured: Measured) -> None:
    """Make every check that can reject the build, before its bytes are stored.

    Raises `Rejected` and `LeaseLost`.
    """
    match_app.match(session, leases.held(session, lease), facts, measured.sha256)


def finish(session: Session, lease: Lease, facts: PackageFacts, measured: Measured, *, now: datetime) -> None:
    """Add the inactive version, or use the one with the same bytes, and finish the upload.

    Raises `Rejected` and `LeaseLost`.
    """
    upload = leases.held(session, lease)
    actor = Actor(label=upload.uploaded_by, role=Role.PUBLISHER)
    found = match_app.match(session, upload, facts, measured.sha256)
    match_app.pin(session, actor, found.app, facts, now=now)
    version, is_repeat = found.existing, found.existing is not None
    if version is None:
        version, is_repeat = _new_version(session, actor, found, facts, measured, now=now)
    values = {
        "status": UploadStatus.READY,
        "stage": None,
        "version_id": version.id,
        "app_id": found.app.id,
        "finished_at": now,
        "is_repeat": is_repeat,
    }
    leases.write(session, lease, values)
    subject, after = ("upload", lease.upload_id), {"status": UploadStatus.READY, "version_id": version.id}
    audit.record(session, actor, "upload.ready", subject, now=now, app_id=found.app.id, after=after)


def store_artifact(session: Session, measured: Measured, facts: PackageFacts, *, now: datetime) -> Artifact:
    """Return the row of bytes that are in the store, added unless these bytes have one already."""
    query = select(Artifact).where(Artifact.sha256 == measured.sha256)
    artifact = session.scalar(query)
    if artifact is not None:
        return artifact
    try:
        with session.begin_nested():
            artifact = _artifact(measured, facts, now)
            session.add(artifact)
        return artifact
    except IntegrityError:
        return session.scalars(query).one()


def _artifact(measured: Measured, facts: PackageFacts, now: datetime) -> Artifact:
    return Artifact(
        sha256=measured.sha256,
        size=measured.size,
        created_at=now,
        signer=facts.signature.signer,
        scheme=facts.signature.scheme,
        facts=build_facts.stored(facts),
        icon=facts.icon,
    )


def _new_version(
    session: Session, actor: Actor, found: Match, facts: PackageFacts, measured: Measured, *, now: datetime
) -> tuple[Version, bool]:
    """Return the version, and whether another worker with the same bytes was faster to add it."""
    artifact = store_artifact(session, measured, facts, now=now)
    try:
        return versions.add(session, actor, found.app, found.draft, artifact=artifact, now=now), False
    except Conflict:
        existing = match_app.same_version(session, found.app, found.draft, measured.sha256)
        if existing is None:
            raise
        return existing, True
