"""What the health tests have found about a release, as it is kept: read, started again, put into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ota.core.health_tests import Reported
from ota.core.lifecycle import HealthTest
from ota.health import evaluate as health_tests
from ota.health.evaluate import Found
from ota.health.policy import rules_of
from ota.models import Release, ReleaseHealth


@dataclass(frozen=True, slots=True)
class Look:
    """What was found of a release as it was with this ``revision``."""

    release_id: int
    revision: int
    since: datetime
    found: Sequence[Found]
    decided: Reported
    is_suspect: bool


def restart(session: Session, release: Release, *, now: datetime) -> None:
    """A person has decided: what was found so far is known to them, and a new test begins with the devices that come from now on."""
    row = session.get(ReleaseHealth, release.id)
    if row is not None:
        row.since, row.rounds, row.is_bad, row.is_suspect = now, row.rounds + 1, False, False
        row.evidence, row.peak, row.tests = 1.0, 1.0, []
        row.rollout = row.control = row.failing_rollout = row.failing_control = 0


def was_found_bad(session: Session, release: Release) -> bool:
    """Has a test called the release bad, and nobody decided about that since?"""
    row = session.get(ReleaseHealth, release.id)
    return row is not None and row.is_bad


def why_waiting(session: Session, release: Release) -> str | None:
    """Why a plan must not go on because of its devices; None when nothing holds it."""
    rules, row = rules_of(session, release.version.app_id), session.get(ReleaseHealth, release.id)
    if row is not None and row.is_bad:
        return "The health test says that the release is bad."
    if row is not None and row.is_suspect:
        return "What was reported last looks bad; it is judged when all reports had time to arrive."
    known = 0 if row is None else row.reported
    if known < rules.min_reports:
        return f"{known} of {rules.min_reports} devices have reported how it goes."
    return None


_ENDLESS = 1_000_000


def sentence(row: ReleaseHealth) -> str:
    """What was found, with its numbers."""
    test = HealthTest(row.test)
    beside = (
        ""
        if test is HealthTest.ALONE
        else f", against {row.failing_control:,} of {row.control:,} outside of it"
    )
    happened = "devices that normally call fell silent" if test is HealthTest.SILENCE else "devices failed"
    evidence = f"{row.peak:,.0f}" if row.peak < _ENDLESS else f"more than {_ENDLESS:,}"
    return f"{row.failing_rollout:,} of {row.rollout:,} {happened}{beside}: evidence {evidence}, and {row.threshold:,.0f} is enough."


def since_of(session: Session, release: Release) -> datetime:
    row = session.get(ReleaseHealth, release.id)
    return release.starts_at if row is None else row.since


def keep(session: Session, seen: Look, *, now: datetime) -> ReleaseHealth:
    told = health_tests.told(health_tests.speaking(seen.found))
    values: dict[str, Any] = {
        "since": seen.since,
        "evaluated_at": now,
        **{name: value for name, value in told.items() if name != "curve"},
        "reported": seen.decided.devices,
        "enrolled": seen.decided.enrolled,
        "tests": [health_tests.told(each) for each in seen.found],
    }
    row = session.get(ReleaseHealth, seen.release_id)
    if row is None:
        row = ReleaseHealth(release_id=seen.release_id, is_bad=False, **values)
        session.add(row)
    else:
        for name, value in values.items():
            setattr(row, name, value)
    session.flush()
    return row
