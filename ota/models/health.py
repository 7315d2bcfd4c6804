"""When a release counts as bad, and what the test has found so far."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, false
from sqlalchemy.orm import Mapped, mapped_column

from ota.core.lifecycle import HealthAction
from ota.models.base import Base, one_of


class HealthPolicy(Base):
    """What an app has chosen instead of the defaults of `ota.core.health.Policy`.

    ``min_reports``: a plan waits until so many devices of the release are decided; with 0 it waits for nobody.
    """

    __tablename__ = "health_policies"
    __table_args__ = (one_of("action", HealthAction),)

    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"), primary_key=True)
    action: Mapped[str] = mapped_column(String(10), default=HealthAction.HALT)
    alpha: Mapped[float]
    tolerated_ratio: Mapped[float]
    window_hours: Mapped[int]
    min_failing_devices: Mapped[int]
    acceptable_rate: Mapped[float]
    min_reports: Mapped[int]
    revision: Mapped[int] = mapped_column(default=1)


class ReleaseHealth(Base):
    """The test of one release at its last look. ``since``: members who enrolled before do not count; a resumed release starts anew.

    ``is_bad`` stays true for as long as ``since`` does. ``curve`` has at most a few hundred points: ``[seconds since 1970, rollout,
    control, failing rollout, failing control, evidence]``.
    """

    __tablename__ = "release_health"

    release_id: Mapped[int] = mapped_column(ForeignKey("releases.id"), primary_key=True)
    since: Mapped[datetime]
    evaluated_at: Mapped[datetime]
    is_bad: Mapped[bool] = mapped_column(default=False, server_default=false())
    has_control: Mapped[bool] = mapped_column(default=False, server_default=false())
    evidence: Mapped[float]
    peak: Mapped[float]
    threshold: Mapped[float]
    rollout: Mapped[int]
    control: Mapped[int]
    failing_rollout: Mapped[int]
    failing_control: Mapped[int]
    reported: Mapped[int]
    enrolled: Mapped[int]
    curve: Mapped[list[Any]] = mapped_column(JSON)
