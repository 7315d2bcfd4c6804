"""What happens to an upload: claimed, measured, read, stored, made a version. The row is the truth.

A worker owns an upload for the length of a lease that it renews. Every write asks whether the lease is still its own, so
that of two workers with the same upload (a doubled message, a lease that ran out) only one can finish it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ota.apps import apps
from ota.builds import facts as build_facts
from ota.builds import match_app, versions
from ota.builds.match_app import Place
from ota.core.lifecycle import OPEN_UPLOADS, UploadStatus, may_move_upload
from ota.core.permissions import Role
from ota.db import compare_and_set
from ota.errors import Conflict, OtaError, Rejected
from ota.history import audit
from ota.history.audit import Actor
from ota.models import Artifact, Upload, Version
from ota.packages import PackageFacts

MAX_DEATHS = 3
"""So many times may a worker die over one file before the file is given up."""

MAX_POSTPONEMENTS = 300
"""So many times may the world fail (at most every five minutes: about a day) before the file is given up."""

_BLOCK = 1024 * 1024
_LONGEST_WAIT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Job:
    """An upload that this worker holds, until its lease runs out."""

    upload_id: str
    token: str


@dataclass(frozen=True, slots=True)
class Measured:
    """The bytes as counted: lower-case SHA-256 and size."""

    sha256: str
    size: int


class LeaseLost(Exception):
    """Somebody else has taken the upload over; what this worker knows about it no longer counts."""


def claim(session: Session, upload_id: str, *, now: datetime, lease: timedelta) -> Job | None:
    """Take the upload, counting the attempt before any work. None when it is finished, unknown, or another's.

    After `MAX_DEATHS` workers died over it the upload is rejected instead.
    """
    upload = session.get(Upload, upload_id)
    if upload is None or upload.is_finished:
        return None
    if upload.status == UploadStatus.PROCESSING and upload.lease_expires_at > now:
        return None
    seen = {"status": upload.status, "lease_token": upload.lease_token, "attempts": upload.attempts}
    job = Job(upload_id, os.urandom(16).hex())
    values = {
        "status": UploadStatus.PROCESSING,
        "stage": "measuring",
        "attempts": upload.attempts + 1,
        "lease_token": job.token,
        "lease_expires_at": now + lease,
    }
    if not compare_and_set(session, Upload, {"id": upload_id}, seen, values):
        return None
    if upload.attempts - upload.postponements > MAX_DEATHS:
        reject(session, job, _given_up(), now=now)
        return None
    if upload.postponements >= MAX_POSTPONEMENTS:
        reject(session, job, _never_possible(), now=now)
        return None
    return job


def renew(session: Session, job: Job, *, now: datetime, lease: timedelta, stage: str | None = None) -> None:
    """Hold the upload for another lease, and say what is being done. Raises `LeaseLost`."""
    values: dict[str, Any] = {"lease_expires_at": now + lease}
    if stage is not None:
        values["stage"] = stage
    _write(session, job, values)


def is_done(session: Session, upload_id: str) -> bool:
    """Has the upload come to its end, so that its bytes are no longer needed in the quarantine?"""
    upload = session.get(Upload, upload_id)
    return upload is None or upload.is_finished


def measure(path: Path) -> Measured:
    """SHA-256 and size in one pass."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return Measured(digest.hexdigest(), size)


def note_app(session: Session, job: Job, facts: PackageFacts) -> None:
    """Write down to which app the file belongs, as soon as that is known: if it is refused, that app's people are told.

    Raises `LeaseLost`. A file that finds no app is none's; `examine` says why.
    """
    upload = _held(session, job)
    if upload.app_id is None:
        with suppress(Rejected):
            _write(session, job, {"app_id": match_app.choose_app(session, upload, facts).id})


def examine(session: Session, job: Job, facts: PackageFacts, measured: Measured) -> None:
    """Everything that can refuse the build, before its bytes are stored. Raises `Rejected` and `LeaseLost`."""
    match_app.place(session, _held(session, job), facts, measured.sha256)


def finish(session: Session, job: Job, facts: PackageFacts, measured: Measured, *, now: datetime) -> Upload:
    """Make the inactive version, or find the one that these bytes already are. Raises `Rejected` and `LeaseLost`."""
    upload = _held(session, job)
    actor = Actor(label=upload.uploaded_by, role=Role.PUBLISHER)
    place = match_app.place(session, upload, facts, measured.sha256)
    match_app.pin(session, actor, place.app, facts, now=now)
    version, is_repeat = place.existing, place.existing is not None
    if version is None:
        version, is_repeat = _new_version(session, actor, place, facts, measured, now=now)
    values = {
        "status": UploadStatus.READY,
        "stage": None,
        "version_id": version.id,
        "app_id": place.app.id,
        "finished_at": now,
        "is_repeat": is_repeat,
    }
    _write(session, job, values)
    after = {"status": UploadStatus.READY, "version_id": version.id}
    audit.record(
        session, actor, "upload.ready", ("upload", job.upload_id), now=now, app_id=place.app.id, after=after
    )
    return upload


def reject(session: Session, job: Job, error: OtaError, *, now: datetime) -> None:
    """Give the file up for good, with the sentence that its uploader reads. Raises `LeaseLost`.

    In the history it stands with its app; a file that found none stands with the default app, whose page of uploads shows it.
    """
    upload = _held(session, job)
    app_id = upload.app_id if upload.app_id is not None else apps.default_id(session)
    values = {
        "status": UploadStatus.REJECTED,
        "stage": None,
        "reason_code": error.code,
        "reason": error.message,
        "finished_at": now,
    }
    _write(session, job, values)
    actor = Actor(label=upload.uploaded_by, role=Role.PUBLISHER)
    after = {"status": UploadStatus.REJECTED, "reason_code": error.code}
    audit.record(
        session, actor, "upload.rejected", ("upload", job.upload_id), now=now, app_id=app_id, after=after
    )


def postpone(session: Session, job: Job, *, now: datetime) -> None:
    """The world failed (disk, database), not the file: give it back and try again later. Raises `LeaseLost`."""
    upload = _held(session, job)
    wait = min(timedelta(seconds=2 ** min(upload.postponements + 1, 10)), _LONGEST_WAIT)
    values = {
        "status": UploadStatus.RECEIVED,
        "stage": None,
        "lease_token": None,
        "lease_expires_at": now + wait,
        "postponements": upload.postponements + 1,
    }
    _write(session, job, values)


def take_stalled(session: Session, *, now: datetime, lease: timedelta, limit: int = 100) -> Sequence[str]:
    """The uploads that stayed behind: their message was lost or their worker died. To be sent again by the caller.

    Each gets a new lease, so that the next look does not send it once more.
    """
    is_stalled = (Upload.status.in_(OPEN_UPLOADS), Upload.lease_expires_at < now)
    oldest = select(Upload.id).where(*is_stalled).order_by(Upload.lease_expires_at).limit(limit)
    values = {
        "status": UploadStatus.RECEIVED,
        "stage": None,
        "lease_token": None,
        "lease_expires_at": now + lease,
    }
    # One statement: what another worker finishes or renews meanwhile no longer matches when its row is reached.
    statement = update(Upload).where(Upload.id.in_(oldest), *is_stalled).values(**values).returning(Upload.id)
    return session.scalars(statement, execution_options={"synchronize_session": False}).all()


def expect_no_message(session: Session, upload_id: str, *, now: datetime) -> None:
    """The message could not be sent: the next look for stalled uploads need not wait for the lease."""
    compare_and_set(
        session, Upload, {"id": upload_id}, {"status": UploadStatus.RECEIVED}, {"lease_expires_at": now}
    )


def store_artifact(session: Session, measured: Measured, facts: PackageFacts, *, now: datetime) -> Artifact:
    """The row of bytes that are in the store; the same row for the same bytes."""
    query = select(Artifact).where(Artifact.sha256 == measured.sha256)
    artifact = session.scalar(query)
    if artifact is not None:
        return artifact
    try:
        with session.begin_nested():
            artifact = Artifact(
                sha256=measured.sha256,
                size=measured.size,
                created_at=now,
                signer=facts.signature.signer,
                scheme=facts.signature.scheme,
                facts=build_facts.stored(facts),
                icon=facts.icon,
            )
            session.add(artifact)
        return artifact
    except IntegrityError:
        return session.scalars(query).one()


def _new_version(
    session: Session, actor: Actor, place: Place, facts: PackageFacts, measured: Measured, *, now: datetime
) -> tuple[Version, bool]:
    artifact = store_artifact(session, measured, facts, now=now)
    try:
        return versions.add(session, actor, place.app, place.draft, artifact=artifact, now=now), False
    except Conflict:
        # Another worker made this version since it was looked for. The same bytes are welcome, others are not.
        existing = match_app.same_version(session, place.app, place.draft, measured.sha256)
        if existing is None:
            raise
        return existing, True


def _given_up() -> Rejected:
    return Rejected(
        "processing_died",
        f"The worker died {MAX_DEATHS} times while it read this file, so it was given up. The server's log says more; "
        "build the file again, or report it.",
    )


def _never_possible() -> Rejected:
    return Rejected(
        "processing_impossible",
        "The server could not store or read this file for about a day. Its log says why; upload the file again when that is mended.",
    )


def _held(session: Session, job: Job) -> Upload:
    query = select(Upload).where(
        Upload.id == job.upload_id, Upload.lease_token == job.token, Upload.status == UploadStatus.PROCESSING
    )
    upload = session.scalar(query)
    if upload is None:
        raise LeaseLost(job.upload_id)
    return upload


def _write(session: Session, job: Job, values: dict[str, Any]) -> None:
    expected = {"lease_token": job.token, "status": UploadStatus.PROCESSING}
    assert may_move_upload(UploadStatus.PROCESSING, values.get("status", UploadStatus.PROCESSING))
    if not compare_and_set(session, Upload, {"id": job.upload_id}, expected, values):
        raise LeaseLost(job.upload_id)
