"""Heartbeats: whether the database answers, and when a worker was last known to work."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from ota.models import Heartbeat

WORKER = "worker"
WORKER_IS_LATE_AFTER = timedelta(seconds=90)


def check_database(session: Session) -> None:
    """Query the database. Raises its own error if it does not answer."""
    session.execute(text("SELECT 1"))


def beat(session: Session, component: str, *, now: datetime) -> None:
    """Record that a component of the server is alive."""
    session.merge(Heartbeat(component=component, seen_at=now))


def last_seen(session: Session, component: str) -> datetime | None:
    """Return when the component was last known to be alive, or None."""
    heartbeat = session.get(Heartbeat, component)
    return heartbeat.seen_at if heartbeat else None
