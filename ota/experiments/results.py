"""Results of experiments, counted from the journeys of devices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, extract, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from ota.core.comparison import Counts, Result, compare
from ota.health import policy as health_policy
from ota.models import Experiment, ReleaseDevice


def of(session: Session, experiment: Experiment) -> list[Result]:
    """Return one result for each of ``experiment.arms``, also after the experiment has ended."""
    ids = [arm.id for arm in experiment.arms]
    window = health_policy.rules_of(session, experiment.app_id).policy.window
    tried_at = func.coalesce(ReleaseDevice.installed_at, ReleaseDevice.failed_at)
    has_failed = _is_within(session, ReleaseDevice.failed_at, tried_at, window)
    query = select(
        ReleaseDevice.release_id,
        func.count(ReleaseDevice.offered_at),
        func.count(ReleaseDevice.installed_at),
        func.count(tried_at),
        func.count(case((has_failed, 1))),
    ).where(ReleaseDevice.release_id.in_(ids), ReleaseDevice.is_control.is_(False))
    found = {
        release_id: Counts(*counts)
        for release_id, *counts in session.execute(query.group_by(ReleaseDevice.release_id))
    }
    return compare([found.get(release_id, Counts()) for release_id in ids])


def _is_within(
    session: Session, later: InstrumentedAttribute[Any], earlier: ColumnElement[Any], span: timedelta
) -> ColumnElement[bool]:
    """Return the condition that two times are at most ``span`` apart.

    It is not true where one of them is NULL.

    PostgreSQL and SQLite differ in how they subtract times.
    """
    if session.get_bind().dialect.name == "postgresql":
        seconds: ColumnElement[Any] = extract("epoch", later - earlier)
    else:
        seconds = (func.julianday(later) - func.julianday(earlier)) * 86_400
    return seconds <= span.total_seconds()
