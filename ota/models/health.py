"""When a release counts as bad, and what the test has found so far."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from ota.core.lifecycle import HealthAction, HealthTest
from ota.models.base import Base, one_of


class HealthPolicy(Base):
    """What an app has chosen instead of the defaults of `ota.core.health_tests.Policy`.

    ``min_reports``: a plan waits until so many devices of the release are decided; with 0 it waits for nobody. ``silence_hours``: a
    device that normally calls and has not for so long has failed; with 0 silence is no failure.
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
    """What the tests of one release found at their last look. ``since``: members who enrolled before do not count; a resumed release
    starts anew, and ``rounds`` counts how often it did.

    ``is_bad`` stays true for as long as ``since`` does. ``is_suspect``: with what was reported last, and is not settled yet, it would be
    bad. ``test`` is the one that speaks (the one that calls the release bad, else the one with the most evidence), and the numbers beside
    it are its own. ``tests`` are all of them, as `ota.health.evaluate.TestRecord`.
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
