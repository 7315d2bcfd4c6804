"""Apps, the platforms they exist on, and their channels."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ota.core.platforms import Platform
from ota.models.base import Base, one_of


class App(Base):
    """A product that is updated. Exactly one is the default: it answers devices that name no app."""

    __tablename__ = "apps"
    __table_args__ = (
        Index("uq_apps_default", "is_default", unique=True, sqlite_where=text("is_default"), postgresql_where=text("is_default")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    is_default: Mapped[bool] = mapped_column(default=False)
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]

    platforms: Mapped[list[AppPlatform]] = relationship(back_populates="app", order_by="AppPlatform.platform")
    channels: Mapped[list[Channel]] = relationship(back_populates="app", order_by="Channel.id")

    def package_id(self, platform: str) -> str | None:
        """The package or bundle id that the app's builds must have on this platform, once it is known."""
        return next((p.package_id for p in self.platforms if p.platform == platform), None)


class AppPlatform(Base):
    """An app on one platform, with the package (bundle) id that its first build pinned."""

    __tablename__ = "app_platforms"
    __table_args__ = (UniqueConstraint("app_id", "platform"), one_of("platform", Platform))

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"))
    platform: Mapped[str] = mapped_column(String(20))
    package_id: Mapped[str | None] = mapped_column(String(255), index=True)

    app: Mapped[App] = relationship(back_populates="platforms")


class Channel(Base):
    """A named stream that devices follow. A device that names none follows the default one."""

    __tablename__ = "channels"
    __table_args__ = (UniqueConstraint("app_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"))
    name: Mapped[str] = mapped_column(String(40))
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]

    app: Mapped[App] = relationship(back_populates="channels")
