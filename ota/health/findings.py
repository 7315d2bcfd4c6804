"""The stored findings of a release's health tests: written, read, cleared for a new test, put into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ota.core.health_votes import Reported
from ota.core.lifecycle import HealthTest
from ota.health import evaluate as health_evaluate
from ota.health.evaluate import HealthFinding
from ota.health.policy import rules_of
from ota.models import Release, ReleaseHealth

_MAX_SHOWN = 1_000_000
"""Evidence above this is shown as "more than"."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one evaluation found about a release with this ``revision``. ``since``: when the test began."""

    release_id: int
    revision: int
    since: datetime
    found: Sequence[HealthFinding]
    reported: Reported
    is_suspect: bool


def restart(session: Session, release: Release, *, now: datetime) -> None:
    """Clear the findings after a person's decision.

    A new test begins with the devices that come from now on.
    """
    row = session.get(ReleaseHealth, release.id)
    if row is not None:
        row.since, row.rounds, row.is_bad, row.is_suspect = now, row.rounds + 1, False, False
        row.evidence, row.peak, row.tests = 1.0, 1.0, []
        row.rollout = row.control = row.failing_rollout = row.failing_control = 0


def was_found_bad(session: Session, release: Release) -> bool:
    """Whether a test has found the release bad and no person has decided since."""
    row = session.get(ReleaseHealth, release.id)
    return row is not None and row.is_bad


def why_waiting(session: Session, release: Release) -> str | None:
    """Return why the release's devices hold its plan back; None if they do not."""
    rules, row = rules_of(session, release.version.app_id), session.get(ReleaseHealth, release.id)
    if row is not None and row.is_bad:
        return "The health test says that the release is bad."
    if row is not None and row.is_suspect:
        return "What was reported last looks bad; it is judged when all reports had time to arrive."
    known = 0 if row is None else row.reported
    if known < rules.min_reports:
        return f"{known} of {rules.min_reports} devices have reported how it goes."
    return None


def sentence(row: ReleaseHealth) -> str:
    """Return the finding of the leading test as a sentence with its numbers."""
    test = HealthTest(row.test)
    happened = "devices that normally call fell silent" if test is HealthTest.SILENCE else "devices failed"
    if test is not HealthTest.ALONE:
        happened += f", against {row.failing_control:,} of {row.control:,} outside of it"
    evidence = f"{row.peak:,.0f}" if row.peak < _MAX_SHOWN else f"more than {_MAX_SHOWN:,}"
    return (
        f"{row.failing_rollout:,} of {row.rollout:,} {happened}: "
        f"evidence {evidence}, and {row.threshold:,.0f} is enough."
    )


def since_of(session: Session, release: Release) -> datetime:
    """Return when the present test began."""
    row = session.get(ReleaseHealth, release.id)
    return release.starts_at if row is None else row.since


def keep(session: Session, look: Look, *, now: datetime) -> ReleaseHealth:
    """Store what a look found. ``is_bad`` and ``is_suspect`` are left to the caller."""
    leading = health_evaluate.record_of(health_evaluate.leading(look.found))
    values: dict[str, Any] = {
        "since": look.since,
        "evaluated_at": now,
        **{name: value for name, value in leading.items() if name != "curve"},
        "reported": look.reported.devices,
        "enrolled": look.reported.enrolled,
        "tests": [health_evaluate.record_of(each) for each in look.found],
    }
    row = session.get(ReleaseHealth, look.release_id)
    if row is None:
        row = ReleaseHealth(release_id=look.release_id, is_bad=False, **values)
        session.add(row)
    else:
        for name, value in values.items():
            setattr(row, name, value)
    session.flush()
    return row
