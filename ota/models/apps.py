"""Apps, the platforms they exist on, their channels and their device groups."""

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
    """A product that is updated. Exactly one is the default: it answers devices that name no app.

    ``allows_v1_only`` and ``allows_debuggable`` let builds in that are otherwise refused or kept from being published;
    ``allows_external`` files that live elsewhere, which nobody here has read. ``is_shut_off``: no device is offered anything.
    ``keeps_devices``: something is kept of single devices, not only counts.
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
        """The package or bundle id that the app's builds must have on this platform, once it is known."""
        return next((p.package_id for p in self.platforms if p.platform == platform), None)

    def on(self, platform: str) -> AppPlatform:
        """The app on this platform."""
        return next(each for each in self.platforms if each.platform == platform)


class AppPlatform(Base):
    """An app on one platform, with what pins it: the package (bundle) id of its first build, and the signer of the last
    one that was published (an APK certificate's SHA-256, or a team id on iOS). ``signer_history`` is JSON: the `Signers` of
    every build that was published, since phones may still have any of them."""

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
"""Devices of the first channel are offered the releases of the second one too."""


class Channel(Base):
    """A named stream that devices follow. A device that names none follows the default one.

    ``falls_back_to``: channels whose releases its devices are offered too. ``approval_above`` in basis points: a release that is
    open further than that needs the approval of another person; None asks for nobody's. ``is_shut_off``: its releases are offered
    to nobody and its devices are offered nothing.
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
    """A named set of devices (testers, store 42). A release may be open to groups whatever its rollout."""

    __tablename__ = "device_groups"
    __table_args__ = (UniqueConstraint("app_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"))
    name: Mapped[str] = mapped_column(String(60))
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]

    app: Mapped[App] = relationship()


class DeviceGroupMember(Base):
    """A device in a group. ``device_hash`` is the keyed hash of its id, ``note`` what people recognise it by."""

    __tablename__ = "device_group_members"

    group_id: Mapped[int] = mapped_column(ForeignKey("device_groups.id"), primary_key=True)
    device_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    note: Mapped[str | None] = mapped_column(String(120))
    added_at: Mapped[datetime]
    added_by: Mapped[str] = mapped_column(String(254))
