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
    """What somebody says about the file they send. What the file itself says wins."""

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
    """Everything that can be known to be wrong before a byte is kept. Answers the app that was named, if any."""
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
    """Note a file whose bytes are safe in the quarantine under ``upload_id``.

    The queue has the length of a lease to bring it to a worker; after that it is sent again.
    """
    app = check_order(session, order)
    if size == 0:
        raise Invalid(
            "empty_file", "The file is empty. Choose the APK or IPA that your build made.", field="file"
        )
    upload = Upload(
        id=upload_id,
        app_id=app.id if app else None,
        file_name=display_name(order.file_name),
        size=size,
        status=UploadStatus.RECEIVED,
        lease_expires_at=now + lease,
        channel=order.channel or None,
        release_notes=order.release_notes,
        is_mandatory=order.is_mandatory,
        min_supported_version=order.min_supported_version or None,
        declared_platform=apps.find_platform(order.platform) if order.platform else None,
        declared_version=order.version or None,
        declared_version_code=order.version_code,
        uploaded_by=actor.label,
        created_at=now,
    )
    session.add(upload)
    session.flush()
    after = {"file_name": upload.file_name, "size": size}
    audit.record(
        session, actor, "upload.received", ("upload", upload.id), now=now, app_id=upload.app_id, after=after
    )
    return upload


def get(session: Session, upload_id: str) -> Upload:
    """Raises `NotFound`."""
    query = (
        select(Upload)
        .where(Upload.id == upload_id)
        .options(joinedload(Upload.version), joinedload(Upload.app))
    )
    upload = session.scalar(query)
    if upload is None:
        raise NotFound("unknown_upload", "There is no upload with this id.")
    return upload


def proposed_channel(session: Session, version_id: int) -> str | None:
    """The channel that whoever sent the version's file named for it, if any."""
    query = select(Upload.channel).where(Upload.version_id == version_id, Upload.channel.is_not(None))
    return session.scalar(query.order_by(Upload.created_at.desc()).limit(1))


def newest(session: Session, app: App, *, limit: int = 50, offset: int = 0) -> Sequence[Upload]:
    """The app's uploads, newest first; the default app's page also shows those that found no app."""
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
    """The uploads whose bytes are still needed in the quarantine."""
    return set(session.scalars(select(Upload.id).where(Upload.status.in_(OPEN_UPLOADS))))


def display_name(name: str) -> str:
    """A client's file name as text for people: the last part, printable, at most 200 characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(character for character in last if character.isprintable()).strip()
    return printable[:200] or "unnamed"
