"""Uploads, the artifacts that they leave behind, and the versions made from them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, deferred, mapped_column, relationship

from ota.core.lifecycle import OPEN_UPLOADS, UploadStatus
from ota.core.platforms import Platform, Scheme
from ota.models.apps import App
from ota.models.base import Base, Bytes, one_of

if TYPE_CHECKING:
    from ota.models.releases import Release


_UNFINISHED = text("status IN ('received', 'processing')")


class Artifact(Base):
    """Stored bytes, named by their lower-case SHA-256. Immutable; several versions can share one artifact.

    ``facts`` are a `PackageFacts` without its icon. Every artifact has a proven ``signer`` and the ``scheme``
    that proved it. ``icon`` is a PNG encoded by this server.
    """

    __tablename__ = "artifacts"
    __table_args__ = (one_of("scheme", Scheme),)

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    size: Mapped[int] = mapped_column(Bytes)
    signer: Mapped[str] = mapped_column(String(64))
    scheme: Mapped[str] = mapped_column(String(10))
    facts: Mapped[dict[str, Any]] = deferred(mapped_column(JSON, nullable=False))
    icon: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    created_at: Mapped[datetime]


class Version(Base):
    """One build of an app on one platform. It is active while it has a live release.

    ``download_url`` is absolute for an external file and a path for a file on this server. ``checksum`` is a
    lower-case SHA-256; the database refuses an active version without one. ``min_sdk`` (Android API level),
    ``min_os`` (iOS) and ``abis`` (names with commas; None runs on all) say which devices can install it, as
    far as its file is known. ``localized_notes`` are release notes by lower-case language tag,
    ``release_notes`` those for all other languages.
    """

    __tablename__ = "app_versions"
    __table_args__ = (
        UniqueConstraint("app_id", "platform", "version_code"),
        one_of("platform", Platform),
        CheckConstraint("version_code >= 0", name="version_code_positive"),
        CheckConstraint("NOT is_active OR checksum IS NOT NULL", name="active_has_checksum"),
        CheckConstraint("artifact_id IS NOT NULL OR download_url LIKE 'http%'", name="has_file"),
        # Never reuse the id of a deleted version, because the audit log contains it.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"))
    platform: Mapped[str] = mapped_column(String(20))
    version: Mapped[str] = mapped_column(String(50))
    version_code: Mapped[int] = mapped_column(BigInteger)
    min_supported_version: Mapped[str | None] = mapped_column(String(50))
    download_url: Mapped[str] = mapped_column(String(500))
    file_size: Mapped[int | None] = mapped_column(Bytes)
    checksum: Mapped[str | None] = mapped_column(String(64))
    release_notes: Mapped[str | None] = mapped_column(Text)
    localized_notes: Mapped[dict[str, Any] | None]
    is_mandatory: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    package_id: Mapped[str | None] = mapped_column(String(255))
    min_sdk: Mapped[int | None]
    min_os: Mapped[str | None] = mapped_column(String(20))
    abis: Mapped[str | None] = mapped_column(String(200))
    artifact_id: Mapped[int | None] = mapped_column(ForeignKey("artifacts.id"))
    revision: Mapped[int] = mapped_column(default=1)

    app: Mapped[App] = relationship()
    artifact: Mapped[Artifact | None] = relationship()
    releases: Mapped[list[Release]] = relationship(back_populates="version", order_by="Release.id.desc()")

    @property
    def is_hosted_here(self) -> bool:
        return self.artifact_id is not None


class Upload(Base):
    """One file sent by a person or a program, and its progress.

    While it is not finished, another worker can claim it after ``lease_expires_at``. Only the worker that
    holds it knows ``lease_token``. ``attempts`` counts claims, before any work is done. ``postponements``
    counts attempts that failed because of the server's surroundings and not because of the file.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        one_of("status", UploadStatus),
        # For the periodic task, which looks for unfinished uploads.
        Index(
            "ix_uploads_open",
            "lease_expires_at",
            sqlite_where=_UNFINISHED,
            postgresql_where=_UNFINISHED,
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    app_id: Mapped[int | None] = mapped_column(ForeignKey("apps.id"), index=True)
    file_name: Mapped[str] = mapped_column(String(200))
    size: Mapped[int] = mapped_column(Bytes)
    status: Mapped[str] = mapped_column(String(20), default=UploadStatus.RECEIVED)
    stage: Mapped[str | None] = mapped_column(String(20))
    reason_code: Mapped[str | None] = mapped_column(String(60))
    reason: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    postponements: Mapped[int] = mapped_column(default=0)
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_expires_at: Mapped[datetime]
    channel: Mapped[str | None] = mapped_column(String(40))
    release_notes: Mapped[str | None] = mapped_column(Text)
    is_mandatory: Mapped[bool] = mapped_column(default=False)
    min_supported_version: Mapped[str | None] = mapped_column(String(50))
    declared_platform: Mapped[str | None] = mapped_column(String(20))
    declared_version: Mapped[str | None] = mapped_column(String(50))
    declared_version_code: Mapped[int | None] = mapped_column(BigInteger)
    uploaded_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    is_repeat: Mapped[bool] = mapped_column(default=False)
    version_id: Mapped[int | None] = mapped_column(ForeignKey("app_versions.id"))

    app: Mapped[App | None] = relationship()
    version: Mapped[Version | None] = relationship()

    @property
    def is_finished(self) -> bool:
        return self.status not in OPEN_UPLOADS
