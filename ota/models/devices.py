"""The devices that check for updates."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from ota.core.platforms import Platform
from ota.core.silence import UNKNOWN_GAP
from ota.models.base import Base, one_of


class Device(Base):
    """One installation of an app, as it last described itself. ``device_hash`` is a keyed hash of its id.

    ``sdk`` is an Android API level, ``os_version`` the iOS version of an iPhone, ``abis`` sorted names with
    commas; None if not reported. ``longest_gap`` is the longest recent time between two checks, in seconds
    (`ota.core.silence`).
    """

    __tablename__ = "devices"
    __table_args__ = (
        UniqueConstraint("app_id", "platform", "device_hash"),
        one_of("platform", Platform),
        Index("ix_devices_active", "app_id", "platform", "last_seen_at", "version_code"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"))
    platform: Mapped[str] = mapped_column(String(20))
    device_hash: Mapped[str] = mapped_column(String(64))
    app_version: Mapped[str] = mapped_column(String(100))
    version_code: Mapped[int | None] = mapped_column(BigInteger)
    sdk: Mapped[int | None]
    os_version: Mapped[str | None] = mapped_column(String(20))
    abis: Mapped[str | None] = mapped_column(String(200))
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    longest_gap: Mapped[int] = mapped_column(default=UNKNOWN_GAP, server_default=text(str(UNKNOWN_GAP)))
