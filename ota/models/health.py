"""The health policies of apps, and the findings of the health tests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from ota.core.lifecycle import HealthAction, HealthTest
from ota.models.base import Base, one_of


class HealthPolicy(Base):
    """An app's choices in place of the defaults of `ota.core.health_votes.Policy`.

    ``min_reports``: the number of decided devices that a plan waits for; with 0 it does not wait.
    ``silence_hours``: a regular device that has not checked for this long has failed; with 0 silence is no
    failure.
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
    silence_hours: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    revision: Mapped[int] = mapped_column(default=1)


class ReleaseHealth(Base):
    """The findings of a release's tests at their last look.

    Only members that enrolled after ``since`` count. Resuming the release begins a new test, and ``rounds``
    counts the ended ones. ``is_bad`` stays true until a new test begins. ``is_suspect``: the release would be
    bad with reports that have not settled. ``test`` is the test that found the release bad, else the one with
    the most evidence, and the numbers are its own. ``tests`` are the records of all tests
    (`ota.health.evaluate.TestRecord`).
    """

    __tablename__ = "release_health"
    __table_args__ = (one_of("test", HealthTest),)

    release_id: Mapped[int] = mapped_column(ForeignKey("releases.id"), primary_key=True)
    since: Mapped[datetime]
    evaluated_at: Mapped[datetime]
    rounds: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    is_bad: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_suspect: Mapped[bool] = mapped_column(default=False, server_default=false())
    test: Mapped[str] = mapped_column(String(10))
    evidence: Mapped[float]
    peak: Mapped[float]
    threshold: Mapped[float]
    rollout: Mapped[int]
    control: Mapped[int]
    failing_rollout: Mapped[int]
    failing_control: Mapped[int]
    reported: Mapped[int]
    enrolled: Mapped[int]
    tests: Mapped[list[Any]] = mapped_column(JSON)
