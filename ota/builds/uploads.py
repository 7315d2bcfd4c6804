"""Uploads as people see them: received, looked up, listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, false, or_, select, true
from sqlalchemy.orm import Session, joinedload

from ota.apps import apps
from ota.builds import fields
from ota.core.lifecycle import OPEN_UPLOADS, UploadStatus
from ota.errors import Invalid, NotFound
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Upload


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOrder:
    """The fields sent along with a file. They fill what the file lacks and must not contradict it."""

    file_name: str
    app: str | None = None
    channel: str | None = None
    release_notes: str | None = None
    is_mandatory: bool = False
    min_supported_version: str | None = None
    platform: str | None = None
    version: str | None = None
    version_code: int | None = None


def check_order(session: Session, order: UploadOrder) -> App | None:
    """Check everything that does not need the file. Return the app that the order names, if any.

    Raises `Invalid` for a malformed field, `NotFound` for an unknown app or channel.
    """
    app = apps.find(session, order.app) if order.app else None
    if app is not None and order.channel:
        apps.find_channel(app, order.channel)
    if order.platform:
        apps.find_platform(order.platform)
    if order.version_code is not None:
        fields.version_code(order.version_code)
    if order.version:
        fields.name(order.version)
    fields.release_notes(order.release_notes)
    fields.min_supported_version(order.min_supported_version)
    return app


def receive(
    session: Session,
    actor: Actor,
    order: UploadOrder,
    *,
    upload_id: str,
    size: int,
    now: datetime,
    lease: timedelta,
) -> Upload:
    """Add the upload of a file that is safe in the quarantine under ``upload_id``. ``size`` is in bytes.

    The queue has the length of a ``lease`` to deliver it to a worker; after that it is sent again
    (see `ota.builds.leases`). Raises as `check_order` does, and `Invalid` for an empty file.
    """
    app = check_order(session, order)
    if size == 0:
        raise Invalid(
            "empty_file", "The file is empty. Choose the APK or IPA that your build made.", field="file"
        )
    upload = Upload(
        id=upload_id,
        size=size,
        status=UploadStatus.RECEIVED,
        lease_expires_at=now + lease,
        uploaded_by=actor.label,
        created_at=now,
    )
    _fill(upload, order, app)
    session.add(upload)
    session.flush()
    subject, after = ("upload", upload.id), {"file_name": upload.file_name, "size": size}
    audit.record(session, actor, "upload.received", subject, now=now, app_id=upload.app_id, after=after)
    return upload


def _fill(upload: Upload, order: UploadOrder, app: App | None) -> None:
    upload.app_id = app.id if app else None
    upload.file_name = _display_name(order.file_name)
    upload.channel = order.channel or None
    upload.release_notes = order.release_notes
    upload.is_mandatory = order.is_mandatory
    upload.min_supported_version = order.min_supported_version or None
    upload.declared_platform = apps.find_platform(order.platform) if order.platform else None
    upload.declared_version = order.version or None
    upload.declared_version_code = order.version_code


def get(session: Session, upload_id: str, *, app: App | None = None) -> Upload:
    """Return an upload. Raises `NotFound`, also for an upload of another app than the given one.

    An upload that has no app yet is found under every app.
    """
    query = (
        select(Upload)
        .where(Upload.id == upload_id)
        .options(joinedload(Upload.version), joinedload(Upload.app))
    )
    upload = session.scalar(query)
    if upload is None:
        raise NotFound("unknown_upload", "There is no upload with this id.")
    if app is not None and upload.app_id not in {None, app.id}:
        raise NotFound("unknown_upload", f"{app.name} has no upload with this id.")
    return upload


def proposed_channel(session: Session, version_id: int) -> str | None:
    """Return the channel named in the latest upload of this version's file, if any."""
    query = select(Upload.channel).where(Upload.version_id == version_id, Upload.channel.is_not(None))
    return session.scalar(query.order_by(Upload.created_at.desc()).limit(1))


def newest(session: Session, app: App, *, limit: int = 50, offset: int = 0) -> Sequence[Upload]:
    """Return the app's uploads, newest first. Uploads that matched no app are listed with the default app."""
    query = (
        select(Upload)
        .where(
            or_(Upload.app_id == app.id, and_(Upload.app_id.is_(None), true() if app.is_default else false()))
        )
        .options(joinedload(Upload.version))
        .order_by(Upload.created_at.desc(), Upload.id)
        .limit(limit)
        .offset(offset)
    )
    return session.scalars(query).all()


def unfinished_ids(session: Session) -> set[str]:
    """Return the uploads whose files are still needed in the quarantine."""
    return set(session.scalars(select(Upload.id).where(Upload.status.in_(OPEN_UPLOADS))))


def _display_name(name: str) -> str:
    """Return a client's file name as text for people: the last part, printable, at most 200 characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(character for character in last if character.isprintable()).strip()
    return printable[:200] or "unnamed"
