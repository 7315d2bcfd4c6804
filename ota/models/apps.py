"""Apps with their platforms, channels and device groups."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ota.core.install_access import InstallAccess
from ota.core.platforms import Platform
from ota.models.base import Base, one_of


class App(Base):
    """A product that is updated. Exactly one app is the default, for devices that name none.

    ``allows_v1_only`` and ``allows_debuggable`` accept builds that are otherwise refused or blocked,
    ``allows_external`` accepts files at other addresses, which this server has not read. ``is_shut_off``: no
    device is offered anything. ``keeps_devices``: data on single devices is kept, not only counts.
    ``catalog_revision`` grows with every change that can change an answer to a device.
    """

    __tablename__ = "apps"
    __table_args__ = (
        one_of("install_access", InstallAccess),
        Index(
            "uq_apps_default",
            "is_default",
            unique=True,
            sqlite_where=text("is_default"),
            postgresql_where=text("is_default"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    is_default: Mapped[bool] = mapped_column(default=False)
    install_access: Mapped[str] = mapped_column(String(10), default=InstallAccess.OPEN)
    allows_v1_only: Mapped[bool] = mapped_column(default=False)
    allows_debuggable: Mapped[bool] = mapped_column(default=False)
    allows_external: Mapped[bool] = mapped_column(default=True)
    is_shut_off: Mapped[bool] = mapped_column(default=False, server_default=false())
    keeps_devices: Mapped[bool] = mapped_column(default=True, server_default=true())
    catalog_revision: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]

    platforms: Mapped[list[AppPlatform]] = relationship(back_populates="app", order_by="AppPlatform.platform")
    channels: Mapped[list[Channel]] = relationship(back_populates="app", order_by="Channel.id")

    def package_id(self, platform: str) -> str | None:
        """Return the package or bundle id to which the app is pinned on this platform, if it is."""
        return next((p.package_id for p in self.platforms if p.platform == platform), None)

    def on(self, platform: str) -> AppPlatform:
        """Return the row of the app on this platform."""
        return next(each for each in self.platforms if each.platform == platform)


class AppPlatform(Base):
    """An app on one platform, pinned to the package id of its first build and to its published signers.

    ``signer`` is the one of the last published build: the SHA-256 of an APK's certificate, or a team id on
    iOS. ``signer_history`` is JSON: the `Signers` of every published build, because phones can still have any
    of them.
    """

    __tablename__ = "app_platforms"
    __table_args__ = (UniqueConstraint("app_id", "platform"), one_of("platform", Platform))

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"))
    platform: Mapped[str] = mapped_column(String(20))
    package_id: Mapped[str | None] = mapped_column(String(255), index=True)
    signer: Mapped[str | None] = mapped_column(String(64))
    signer_history: Mapped[str | None] = mapped_column(Text)

    app: Mapped[App] = relationship(back_populates="platforms")


channel_fallbacks = Table(
    "channel_fallbacks",
    Base.metadata,
    Column("channel_id", ForeignKey("channels.id"), primary_key=True),
    Column("fallback_id", ForeignKey("channels.id"), primary_key=True),
)
"""Devices on the first channel are also offered the releases of the second one."""


class Channel(Base):
    """A named stream that devices follow. A device that names none follows the default channel.

    ``falls_back_to``: channels whose releases are also offered to its devices. ``approval_above``, in basis
    points: a release with a larger rollout needs another person's approval; None means never.
    ``is_shut_off``: its releases are offered to no device, and its devices are offered nothing.
    """

    __tablename__ = "channels"
    __table_args__ = (
        UniqueConstraint("app_id", "name"),
        CheckConstraint("approval_above BETWEEN 0 AND 10000", name="approval_basis_points"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"))
    name: Mapped[str] = mapped_column(String(40))
    is_default: Mapped[bool] = mapped_column(default=False)
    is_shut_off: Mapped[bool] = mapped_column(default=False, server_default=false())
    approval_above: Mapped[int | None]
    revision: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    created_at: Mapped[datetime]

    app: Mapped[App] = relationship(back_populates="channels")
    falls_back_to: Mapped[list[Channel]] = relationship(
        secondary=channel_fallbacks,
        primaryjoin=lambda: Channel.id == channel_fallbacks.c.channel_id,
        secondaryjoin=lambda: Channel.id == channel_fallbacks.c.fallback_id,
        order_by="Channel.id",
    )


class DeviceGroup(Base):
    """A named set of devices, such as testers. A release can be open to groups whatever its rollout."""

    __tablename__ = "device_groups"
    __table_args__ = (UniqueConstraint("app_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"))
    name: Mapped[str] = mapped_column(String(60))
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]

    app: Mapped[App] = relationship()


class DeviceGroupMember(Base):
    """A device in a group. ``device_hash`` is the keyed hash of its id. The ``note`` is for people."""

    __tablename__ = "device_group_members"

    group_id: Mapped[int] = mapped_column(ForeignKey("device_groups.id"), primary_key=True)
    device_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    note: Mapped[str | None] = mapped_column(String(120))
    added_at: Mapped[datetime]
    added_by: Mapped[str] = mapped_column(String(254))
