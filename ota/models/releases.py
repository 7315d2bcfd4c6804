"""Releases of versions on channels, experiments, and proposals that wait for another person's approval."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
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
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ota.core.lifecycle import LIVE_STATES, ExperimentState, ProposalState, ReleaseState
from ota.core.platforms import Platform
from ota.models.apps import App, Channel, DeviceGroup
from ota.models.base import Base, one_of
from ota.models.builds import Version

_LIVE = "state IN ({})".format(", ".join(f"'{state}'" for state in sorted(LIVE_STATES)))
_ONE_PER_CHANNEL = f"{_LIVE} AND experiment_id IS NULL"
_RUNNING = "state = 'running'"
_DUE = "next_step_at IS NOT NULL"

release_groups = Table(
    "release_groups",
    Base.metadata,
    Column("release_id", ForeignKey("releases.id"), primary_key=True),
    Column("group_id", ForeignKey("device_groups.id"), primary_key=True),
)
"""The device groups to which a release is open, whatever its rollout."""


class Experiment(Base):
    """Two or more versions compared on a channel. Its arms are releases that divide its buckets."""

    __tablename__ = "experiments"
    __table_args__ = (
        one_of("platform", Platform),
        one_of("state", ExperimentState),
        Index(
            "uq_experiments_running",
            "channel_id",
            "platform",
            unique=True,
            sqlite_where=text(_RUNNING),
            postgresql_where=text(_RUNNING),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"), index=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"))
    platform: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(80))
    salt: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(20), default=ExperimentState.RUNNING)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(254))
    ended_at: Mapped[datetime | None]
    winner_version_id: Mapped[int | None] = mapped_column(ForeignKey("app_versions.id"))
    revision: Mapped[int] = mapped_column(default=1)

    app: Mapped[App] = relationship()
    channel: Mapped[Channel] = relationship()
    winner: Mapped[Version | None] = relationship()
    arms: Mapped[list[Release]] = relationship(back_populates="experiment", order_by="Release.bucket_from")


class Release(Base):
    """A version offered on a channel. Rows are never deleted: they are the history.

    ``rollout`` is in basis points (0..10000), counted from ``bucket_from``, which is 0 except for the arms of
    an experiment. ``salt`` is drawn at the start and never changes. ``plan`` is a list of ``{"rollout",
    "soak_minutes"}``, ``plan_step`` the index of the current step, and ``next_step_at`` when the next one is
    due. While the release is not active, ``soak_left`` keeps the seconds left of the soak. The release is
    mandatory for all devices from ``mandatory_from`` on, and for devices on versions from ``critical_from``
    (inclusive) to ``critical_below`` (exclusive). ``reason``: why it was halted or ended, with numbers if
    there are any. ``full_since``: since when it is open to everybody. ``revision`` grows with every change.
    """

    __tablename__ = "releases"
    __table_args__ = (
        one_of("platform", Platform),
        one_of("state", ReleaseState),
        CheckConstraint("rollout BETWEEN 0 AND 10000", name="rollout_basis_points"),
        CheckConstraint("bucket_from >= 0 AND bucket_from + rollout <= 10000", name="bucket_range"),
        # At most one live release of a version on a channel. Also decides a race between two publishers.
        Index(
            "uq_releases_live",
            "channel_id",
            "version_id",
            unique=True,
            sqlite_where=text(_ONE_PER_CHANNEL),
            postgresql_where=text(_ONE_PER_CHANNEL),
        ),
        UniqueConstraint("experiment_id", "version_id"),
        Index("ix_releases_due", "next_step_at", sqlite_where=text(_DUE), postgresql_where=text(_DUE)),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"), index=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("app_versions.id"), index=True)
    experiment_id: Mapped[int | None] = mapped_column(ForeignKey("experiments.id"))
    platform: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20), default=ReleaseState.ACTIVE)
    rollout: Mapped[int]
    bucket_from: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    salt: Mapped[str] = mapped_column(String(32))
    starts_at: Mapped[datetime]
    full_since: Mapped[datetime | None]
    plan: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    plan_step: Mapped[int | None]
    next_step_at: Mapped[datetime | None]
    soak_left: Mapped[int | None]
    mandatory_from: Mapped[datetime | None]
    critical_from: Mapped[str | None] = mapped_column(String(50))
    critical_below: Mapped[str | None] = mapped_column(String(50))
    is_floor: Mapped[bool] = mapped_column(default=False, server_default=false())
    reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(254))
    ended_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=1)

    channel: Mapped[Channel] = relationship()
    version: Mapped[Version] = relationship(back_populates="releases")
    experiment: Mapped[Experiment | None] = relationship(back_populates="arms")
    groups: Mapped[list[DeviceGroup]] = relationship(secondary=release_groups, order_by=DeviceGroup.name)

    @property
    def is_live(self) -> bool:
        return self.state in LIVE_STATES


class Proposal(Base):
    """An act that waits for another person's approval, as its channel requires.

    ``payload`` are the arguments of the act, ``summary`` describes it in a sentence. No person approves their
    own proposal: ``proposed_by_id`` and ``decided_by_id`` of an approved one differ.
    """

    __tablename__ = "proposals"
    __table_args__ = (
        one_of("state", ProposalState),
        CheckConstraint("state <> 'approved' OR decided_by_id <> proposed_by_id", name="approved_by_another"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"), index=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"))
    kind: Mapped[str] = mapped_column(String(40))
    payload: Mapped[dict[str, Any]]
    summary: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(20), default=ProposalState.OPEN)
    proposed_at: Mapped[datetime]
    proposed_by: Mapped[str] = mapped_column(String(254))
    proposed_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(String(254))
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    channel: Mapped[Channel] = relationship()
