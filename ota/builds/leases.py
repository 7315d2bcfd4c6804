"""Leases: which worker owns an upload, for how long, and what happens when that worker dies.

A worker claims an upload for ``OTA_LEASE_SECONDS`` and renews its lease while it works. Every later write
compares the lease's token, so of two workers with the same upload (a message delivered twice, an expired
lease) only one can finish it.

After ``kill -9`` of a worker:

1. Only the row remembers the work: `claim` had counted the attempt before it began. The file is still in
   the quarantine.
2. Nobody renews the lease any more, so it expires.
3. The periodic task ``ota.resend_stalled`` calls `take_stalled`, which finds the row by its expired lease,
   sets it back to ``received`` and gives it a new lease. The task then sends the upload to the queue again.
4. Another worker claims it. After `MAX_DEATHS` dead workers, `claim` rejects the file instead.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ota.apps import apps
from ota.core.lifecycle import OPEN_UPLOADS, UploadStatus, may_move_upload
from ota.core.permissions import Role
from ota.db import compare_and_set
from ota.errors import OtaError, Rejected
from ota.history import audit
from ota.history.audit import Actor
from ota.models import Upload

MAX_DEATHS = 3
"""Worker crashes allowed per file before it is rejected."""

MAX_POSTPONEMENTS = 300
"""Failures of disk or database allowed per file before it is rejected: about a day of tries."""

_LONGEST_WAIT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Lease:
    """An upload that this worker owns until its lease expires."""

    upload_id: str
    token: str


class LeaseLost(Exception):
    """Another worker has taken the upload over. The results of this one no longer count."""


def claim(session: Session, upload_id: str, *, now: datetime, length: timedelta) -> Lease | None:
    """Take the upload, counting the attempt before any work. Return None if another worker has it.

    Also return None for an upload that is finished or unknown, and for one that is rejected now because
    `MAX_DEATHS` workers died over it or it was postponed `MAX_POSTPONEMENTS` times.
    """
    upload = session.get(Upload, upload_id)
    if upload is None or upload.is_finished:
        return None
    if upload.status == UploadStatus.PROCESSING and upload.lease_expires_at > now:
        return None
    lease = _take(session, upload, now=now, length=length)
    hopeless = _why_hopeless(upload) if lease else None
    if lease is not None and hopeless is not None:
        reject(session, lease, hopeless, now=now)
        return None
    return lease


def renew(
    session: Session, lease: Lease, *, now: datetime, length: timedelta, stage: str | None = None
) -> None:
    """Extend the lease to ``length`` from now, and note the stage of the work. Raises `LeaseLost`."""
    values: dict[str, Any] = {"lease_expires_at": now + length}
    if stage is not None:
        values["stage"] = stage
    write(session, lease, values)


def reject(session: Session, lease: Lease, error: OtaError, *, now: datetime) -> None:
    """Reject the file for good, with the message that its uploader reads. Raises `LeaseLost`.

    The history files the event under the upload's app, or under the default app, whose page lists uploads
    without an app.
    """
    upload = held(session, lease)
    app_id = upload.app_id if upload.app_id is not None else apps.default_id(session)
    write(
        session,
        lease,
        {
            "status": UploadStatus.REJECTED,
            "stage": None,
            "reason_code": error.code,
            "reason": error.message,
            "finished_at": now,
        },
    )
    actor = Actor(label=upload.uploaded_by, role=Role.PUBLISHER)
    after = {"status": UploadStatus.REJECTED, "reason_code": error.code}
    audit.record(
        session, actor, "upload.rejected", ("upload", lease.upload_id), now=now, app_id=app_id, after=after
    )


def postpone(session: Session, lease: Lease, *, now: datetime) -> None:
    """Give the upload back, because the disk or the database failed and not the file. Raises `LeaseLost`.

    The wait doubles from 2 seconds up to 5 minutes. `take_stalled` then sends the upload again.
    """
    upload = held(session, lease)
    wait = min(timedelta(seconds=2 ** min(upload.postponements + 1, 10)), _LONGEST_WAIT)
    write(
        session,
        lease,
        {
            "status": UploadStatus.RECEIVED,
            "stage": None,
            "lease_token": None,
            "lease_expires_at": now + wait,
            "postponements": upload.postponements + 1,
        },
    )


def take_stalled(session: Session, *, now: datetime, length: timedelta, limit: int = 100) -> Sequence[str]:
    """Return the uploads with an expired lease, for the caller to send to the queue again.

    Their message was lost or their worker died. Each goes back to ``received`` and gets a new lease, so that
    the next call does not return it as well.
    """
    is_stalled = (Upload.status.in_(OPEN_UPLOADS), Upload.lease_expires_at < now)
    oldest = select(Upload.id).where(*is_stalled).order_by(Upload.lease_expires_at).limit(limit)
    values = {
        "status": UploadStatus.RECEIVED,
        "stage": None,
        "lease_token": None,
        "lease_expires_at": now + length,
    }
    # One statement: a row that another worker finishes or renews in the meantime no longer matches when it is
    # reached.
    statement = update(Upload).where(Upload.id.in_(oldest), *is_stalled).values(**values).returning(Upload.id)
    return session.scalars(statement, execution_options={"synchronize_session": False}).all()


def expire(session: Session, upload_id: str, *, now: datetime) -> None:
    """Expire the lease of an upload whose message was not sent, so that `take_stalled` returns it."""
    compare_and_set(
        session, Upload, {"id": upload_id}, {"status": UploadStatus.RECEIVED}, {"lease_expires_at": now}
    )


def is_finished(session: Session, upload_id: str) -> bool:
    """Return whether the upload is ready, rejected or unknown: its file can leave the quarantine."""
    upload = session.get(Upload, upload_id)
    return upload is None or upload.is_finished


def held(session: Session, lease: Lease) -> Upload:
    """Return the upload, still owned by this worker. Raises `LeaseLost`."""
    query = select(Upload).where(
        Upload.id == lease.upload_id,
        Upload.lease_token == lease.token,
        Upload.status == UploadStatus.PROCESSING,
    )
    upload = session.scalar(query)
    if upload is None:
        raise LeaseLost(lease.upload_id)
    return upload


def write(session: Session, lease: Lease, values: dict[str, Any]) -> None:
    """Change the row of an upload that this worker owns. Raises `LeaseLost`."""
    expected = {"lease_token": lease.token, "status": UploadStatus.PROCESSING}
    assert may_move_upload(UploadStatus.PROCESSING, values.get("status", UploadStatus.PROCESSING))
    if not compare_and_set(session, Upload, {"id": lease.upload_id}, expected, values):
        raise LeaseLost(lease.upload_id)


def _take(session: Session, upload: Upload, *, now: datetime, length: timedelta) -> Lease | None:
    seen = {"status": upload.status, "lease_token": upload.lease_token, "attempts": upload.attempts}
    lease = Lease(upload.id, os.urandom(16).hex())
    values = {
        "status": UploadStatus.PROCESSING,
        "stage": "measuring",
        "attempts": upload.attempts + 1,
        "lease_token": lease.token,
        "lease_expires_at": now + length,
    }
    return lease if compare_and_set(session, Upload, {"id": lease.upload_id}, seen, values) else None


def _why_hopeless(upload: Upload) -> Rejected | None:
    if upload.attempts - upload.postponements > MAX_DEATHS:
        return Rejected(
            "processing_died",
            f"The worker died {MAX_DEATHS} times while it read this file, so it was given up. "
            "The server's log says more; build the file again, or report it.",
        )
    if upload.postponements >= MAX_POSTPONEMENTS:
        return Rejected(
            "processing_impossible",
            "The server could not store or read this file for about a day. "
            "Its log says why; upload the file again when that is mended.",
        )
    return None
