"""The people and tokens that manage this server."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ota.core.permissions import Role
from ota.models.base import Base, one_of


class User(Base):
    """A person who can log in. A new ``session_epoch`` ends all of their sessions at the next request."""

    __tablename__ = "users"
    __table_args__ = (one_of("role", Role),)

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(20))
    is_enabled: Mapped[bool] = mapped_column(default=True)
    session_epoch: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]

    # The interface that Flask-Login requires. Without its mixin, so that tables do not need Flask.
    is_authenticated = True
    is_anonymous = False

    @property
    def is_active(self) -> bool:
        return self.is_enabled

    def get_id(self) -> str:
        """Return the value of the session cookie, which no longer matches once the sessions were ended."""
        return f"{self.id}:{self.session_epoch}"


class ApiToken(Base):
    """A key for programs. Only its SHA-256 is stored. People recognize it by its ``prefix``."""

    __tablename__ = "api_tokens"
    __table_args__ = (one_of("role", Role),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    prefix: Mapped[str] = mapped_column(String(16))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    user: Mapped[User] = relationship()

    def is_usable(self, now: datetime) -> bool:
        """Return whether the token is neither revoked nor expired, and its owner is still enabled."""
        is_current = self.expires_at is None or self.expires_at > now
        return self.revoked_at is None and is_current and self.user.is_enabled
