"""Releases: the act of offering a version on a channel."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ota.core.lifecycle import LIVE_STATES, ReleaseState
from ota.core.platforms import Platform
from ota.models.apps import Channel
from ota.models.base import Base, one_of
from ota.models.builds import Version

_LIVE = "state IN ({})".format(", ".join(f"'{state}'" for state in sorted(LIVE_STATES)))


class Release(Base):
    """A version offered on a channel. Rows are never deleted: they are the history.

    ``rollout`` is in basis points (0..10000). ``salt`` is made at the start and never changes. ``revision`` grows with
    every change.
    """

    __tablename__ = "releases"
    __table_args__ = (
        one_of("platform", Platform),
        one_of("state", ReleaseState),
        CheckConstraint("rollout BETWEEN 0 AND 10000", name="rollout_basis_points"),
        # A version stands at most once on a channel; this is also what decides a race between two publishers.
        Index("uq_releases_live", "channel_id", "version_id", unique=True, sqlite_where=text(_LIVE), postgresql_where=text(_LIVE)),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"), index=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("app_versions.id"), index=True)
    platform: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20), default=ReleaseState.ACTIVE)
    rollout: Mapped[int]
    salt: Mapped[str] = mapped_column(String(32))
    starts_at: Mapped[datetime]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(254))
    ended_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=1)

    channel: Mapped[Channel] = relationship()
    version: Mapped[Version] = relationship(back_populates="releases")

    @property
    def is_live(self) -> bool:
        return self.state in LIVE_STATES
