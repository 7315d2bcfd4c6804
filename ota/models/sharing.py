"""Share links, which lead people without an account to an app's install page."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ota.models.apps import App
from ota.models.base import Base


class ShareLink(Base):
    """A link to an app's install page that expires and can be revoked. Its address is signed, not stored.

    ``password_hash`` is argon2id. ``views`` counts how often the page was shown, ``downloads`` the
    installations begun from it.
    """

    __tablename__ = "share_links"

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(254))
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    views: Mapped[int] = mapped_column(default=0)
    downloads: Mapped[int] = mapped_column(default=0)

    app: Mapped[App] = relationship()
